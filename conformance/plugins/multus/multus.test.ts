/** multus as a runtime calls it: what it runs, what it remembers, and that nothing is left when something fails. */
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { eventually } from '../../lab/eventually.ts';
import { answer, RECORD, recorded } from '../../lab/fakes.ts';
import { isOldest, VERSIONS } from '../../lab/programs.ts';
import { addressTexts, filesIn, linkOf, stateOf } from '../../lab/state.ts';
import { chained, faked, fakeType, Multus, OK, POD, rails } from './lab.ts';

describe.concurrent.each(VERSIONS)('multus with delegates of version %s', (version) => {
  it('attaches a pod to all its networks, checks them, and takes all of it back, twice', async () => {
    await using multus = await Multus.open(rails(3, { cniVersion: version }), { cniVersion: version });
    const before = await multus.everything();
    const result = JSON.parse(await multus.must('ADD'));
    expect(result).toMatchObject({
      cniVersion: version,
      ...(isOldest(version) ? { ip4: { ip: '10.5.0.1/24' } } : { ips: [{ address: '10.5.0.1/24' }] }),
    });
    const state = await stateOf(multus.pod.name);
    expect(['eth0', 'net1', 'net2'].map((name) => addressTexts(state, name))).toEqual([
      ['10.5.0.1/24'],
      ['10.5.1.1/24'],
      ['10.5.2.1/24'],
    ]);
    expect(readdirSync(join(multus.cniDir, 'results')).sort()).toEqual([
      'rail-0-c1-eth0',
      'rail-1-c1-net1',
      'rail-2-c1-net2',
    ]);
    expect(statSync(join(multus.cniDir, 'c1')).mode & 0o777).toBe(0o600);
    const hasCheck = !isOldest(version) && !version.startsWith('0.3');
    expect((await multus.call('CHECK')).exitCode).toBe(hasCheck ? 0 : 1);
    expect(await multus.must('DEL')).toBe('');
    expect(await multus.everything()).toEqual(before);
    expect(await multus.must('DEL')).toBe('');
    expect(await multus.everything()).toEqual(before);
  });
});

describe.concurrent('multus DEL', () => {
  it('deletes everything when the scratch file is missing', { tags: 'multus/scratch-missing' }, async () => {
    await using multus = await Multus.open(rails(3));
    const before = await multus.everything();
    await multus.must('ADD');
    rmSync(join(multus.cniDir, 'c1'));
    await multus.must('DEL');
    expect(await multus.everything()).toEqual(before);
  });

  it.each(['', '{', '[]', '{}', '[{}]', '[null]', '[{"Bytes":7}]', '[{"Bytes":"!"}]', '\0\0\0'])(
    'deletes everything when the scratch file is corrupt: %j',
    { tags: 'multus/scratch-corrupt' },
    async (content) => {
      await using multus = await Multus.open(rails(3));
      const before = await multus.everything();
      await multus.must('ADD');
      writeFileSync(join(multus.cniDir, 'c1'), content);
      await multus.must('DEL');
      expect(await multus.everything()).toEqual(before);
    },
  );

  it('deletes everything when the scratch file is corrupt and the result cache gone', async () => {
    await using multus = await Multus.open(rails(3));
    const before = await multus.everything();
    await multus.must('ADD');
    writeFileSync(join(multus.cniDir, 'c1'), 'x');
    rmSync(join(multus.cniDir, 'results'), { recursive: true });
    await multus.must('DEL');
    expect(await multus.everything()).toEqual(before);
  });

  it.each(['', '{', '{"kind":"x"}', '[]'])(
    'deletes everything when a cached result is corrupt: %j',
    async (content) => {
      await using multus = await Multus.open(rails(3));
      const before = await multus.everything();
      await multus.must('ADD');
      writeFileSync(join(multus.cniDir, 'results/rail-1-c1-net1'), content);
      await multus.must('DEL');
      expect(await multus.everything()).toEqual(before);
    },
  );

  it('deletes what was attached, whatever is configured by now', async () => {
    await using multus = await Multus.open(rails(3));
    const before = await multus.everything();
    await multus.must('ADD');
    multus.conf = {
      ...multus.conf,
      delegates: 'nonsense',
      clusterNetwork: 7,
      runtimeConfig: [],
      prevResult: 'x',
      kubeconfig: '/x',
    };
    await multus.must('DEL', { args: 'MAL;FORMED' });
    expect(await multus.everything()).toEqual(before);
  });

  it('gives addresses back when the namespace is gone', async () => {
    await using multus = await Multus.open(rails(3));
    const { reserved } = await multus.everything();
    await multus.must('ADD');
    await multus.lab.remove(multus.pod);
    await multus.must('DEL');
    expect([await multus.reserved(), filesIn(multus.cniDir)]).toEqual([reserved, { 'results/': '700' }]);
  });

  it('gives addresses back without a namespace', async () => {
    await using multus = await Multus.open(rails(2));
    const { reserved } = await multus.everything();
    await multus.must('ADD');
    await multus.must('DEL', { netns: '' });
    expect(await multus.reserved()).toEqual(reserved);
  });

  it('goes on to the other plugins of a list, and to other networks, when one fails, and reports all of it', {
    tags: ['all/del-goes-on', 'multus/del-chain'],
  }, async () => {
    await using multus = await Multus.open((own) => [
      own.rail(0),
      chained(
        own,
        1,
        `${RECORD}; [ "$CNI_COMMAND" = ADD ] && cat <<'END' || { echo '{"code":123,"msg":"no luck"}'; exit 1; }\n{"cniVersion":"1.1.0"}\nEND`,
      ),
      own.rail(2),
    ]);
    const before = await multus.everything();
    await multus.must('ADD');
    expect(await multus.fails('DEL')).toMatchObject({ code: 123, message: expect.stringContaining('no luck') });
    const after = await multus.everything();
    expect([after.pod, after.reserved]).toEqual([before.pod, before.reserved]);
  });

  it('runs networks last to first, each with the result of its ADD', async () => {
    const script = `${RECORD}\n${answer({ cniVersion: '1.1.0', ips: [{ address: '10.9.9.9/24' }] })}`;
    await using multus = await Multus.open((own) => [0, 1, 2].map((index) => faked(own, index, script)));
    await multus.must('ADD');
    await multus.must('DEL');
    const calls = recorded(multus.lab);
    expect(calls.map((call) => `${call.split('\n')[0]} ${/CNI_IFNAME=(.*)/.exec(call)?.[1]}`)).toEqual([
      'ADD eth0',
      'ADD net1',
      'ADD net2',
      'DEL net2',
      'DEL net1',
      'DEL eth0',
    ]);
    expect(calls.slice(3).every((call) => call.includes('"prevResult":{'))).toBe(true);
  });

  it('with retryDeleteOnError keeps the scratch file until everything is gone', async () => {
    await using multus = await Multus.open(
      (own) => [
        own.rail(0),
        faked(
          own,
          1,
          `${RECORD}; [ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"1.1.0"}' || [ -e "$PWD/well" ] || { echo '{"code":123,"msg":"no luck"}'; exit 1; }`,
        ),
      ],
      { retryDeleteOnError: true },
    );
    const before = await multus.everything();
    await multus.must('ADD');
    expect(await multus.fails('DEL')).toMatchObject({ code: 123 });
    expect(existsSync(join(multus.cniDir, 'c1'))).toBe(true);
    writeFileSync(join(multus.lab.dir, 'well'), '');
    await multus.must('DEL');
    expect(await multus.everything()).toEqual(before);
  });

  it('DEL does not care for the readiness file', { tags: 'multus/del-readiness' }, async () => {
    await using multus = await Multus.open(rails(1));
    const before = await multus.everything();
    await multus.must('ADD');
    multus.conf = { ...multus.conf, readinessindicatorfile: '/proc/self/status/absent' };
    await multus.must('DEL');
    expect(await multus.everything()).toEqual(before);
  });

  it('passes over networks that are multus itself', async () => {
    await using multus = await Multus.open(rails(1));
    await multus.must('ADD');
    const scratch = join(multus.cniDir, 'c1');
    const self = {
      Conf: {},
      ConfList: {},
      Name: 'x',
      Bytes: Buffer.from(JSON.stringify({ ...multus.conf, name: 'x' })).toString('base64'),
    };
    writeFileSync(scratch, JSON.stringify([...JSON.parse(readFileSync(scratch, 'utf8')), self]));
    await multus.must('DEL');
    expect(linkOf(await stateOf(multus.pod.name), 'eth0')).toBeUndefined();
  });
});

describe.concurrent('multus CHECK', () => {
  it('reports every network that CHECK finds wrong', { tags: 'multus/check-all' }, async () => {
    await using multus = await Multus.open(rails(3));
    await multus.must('ADD');
    await multus.must('CHECK');
    await multus.lab.ip(multus.pod.name, 'link del net1');
    await multus.lab.ip(multus.pod.name, 'link del net2');
    expect((await multus.fails('CHECK')).message).toMatch(/rail-1.*rail-2/);
  });

  it('checks what was attached, not what is configured by now', async () => {
    await using multus = await Multus.open(rails(2));
    await multus.must('ADD');
    multus.conf = { ...multus.conf, delegates: [multus.rail(0)] };
    await multus.must('CHECK');
    await multus.lab.ip(multus.pod.name, 'link del net1');
    expect((await multus.fails('CHECK')).message).toContain('rail-1');
  });
});

describe.concurrent('multus STATUS', () => {
  it('asks the first network and has its code', async () => {
    await using multus = await Multus.open(rails(1));
    expect(await multus.must('STATUS')).toBe('');
    multus.conf = { ...multus.conf, delegates: [multus.rail(0, { master: 'absent0' })] };
    expect(await multus.fails('STATUS')).toMatchObject({ code: 50, message: expect.stringContaining('absent0') });
  });
});

describe.concurrent('multus GC', () => {
  const valid = (...ids: readonly string[]) => ({
    'cni.dev/valid-attachments': ids.map((id) => ({ containerID: id, ifname: 'eth0' })),
  });

  // runtimes leave CNI_NETNS empty in GC, and it means nothing there
  it.each(['', '{pod}'])(
    'GC deletes what containers left that are not named, and nothing else, with CNI_NETNS "%s"',
    { tags: 'multus/gc' },
    async (netns) => {
      await using multus = await Multus.open(rails(2));
      const before = await multus.everything();
      const pods = await Promise.all(
        ['c1', 'c2', 'c3'].map(async (containerId) => ({ containerId, pod: await multus.lab.pod() })),
      );
      for (const { containerId, pod } of pods) {
        await multus.must('ADD', { containerId, netns: pod.path, args: POD.replaceAll('web-0', `web-${containerId}`) });
      }
      multus.conf = { ...multus.conf, ...valid('c2') };
      expect(await multus.must('GC', { netns: netns.replace('{pod}', multus.pod.path) })).toBe('');
      const links = await Promise.all(
        pods.map(async ({ pod }) => (await stateOf(pod.name)).links.map(({ ifname }) => ifname)),
      );
      expect(links).toEqual([['lo'], ['lo', 'eth0', 'net1'], ['lo']]);
      expect(readdirSync(multus.cniDir).sort()).toEqual(['c2', 'results']);
      expect(readdirSync(join(multus.cniDir, 'results')).sort()).toEqual(['rail-0-c2-eth0', 'rail-1-c2-net1']);
      expect(await multus.reserved()).toEqual(['10.5.0.1/24', '10.5.1.1/24', '10.5.2.1/24']);
      await multus.must('DEL', { containerId: 'c2', netns: pods[1]?.pod.path ?? '' });
      expect({ ...(await multus.everything()), pod: before.pod }).toEqual(before);
    },
  );

  it('collects nothing when the runtime names no list', async () => {
    await using multus = await Multus.open(rails(1));
    await multus.must('ADD');
    const before = await multus.everything();
    expect(await multus.must('GC')).toBe('');
    expect(await multus.everything()).toEqual(before);
  });

  it('collects everything when the list is empty', async () => {
    await using multus = await Multus.open(rails(2), valid());
    const before = await multus.everything();
    await multus.must('ADD');
    expect(await multus.must('GC')).toBe('');
    expect(await multus.everything()).toEqual(before);
  });

  it('tells every plugin which of its attachments are valid', async () => {
    await using multus = await Multus.open((own) => [
      own.rail(0),
      faked(own, 1, `${RECORD}\n${answer({ cniVersion: '1.1.0' })}`),
    ]);
    await multus.must('ADD');
    multus.conf = { ...multus.conf, ...valid('c1') };
    await multus.must('GC');
    const gc = recorded(multus.lab).find((call) => call.startsWith('GC')) ?? '';
    expect(gc).toContain('"cni.dev/valid-attachments":[{"containerID":"c1","ifname":"net1"}]');
  });
});

describe.concurrent('what multus keeps and passes on', () => {
  it('replaces the scratch file in one step and leaves no other file', { tags: 'multus/scratch-atomic' }, async () => {
    await using multus = await Multus.open(rails(2));
    writeFileSync(join(multus.cniDir, 'c1'), 'old');
    const old = statSync(join(multus.cniDir, 'c1')).ino;
    await multus.must('ADD');
    expect(statSync(join(multus.cniDir, 'c1')).ino).not.toBe(old);
    expect(readdirSync(multus.cniDir).sort()).toEqual(['c1', 'results']);
  });

  it('records where the pod is, and what ADD was called with', { tags: 'multus/scratch-pod' }, async () => {
    await using multus = await Multus.open(rails(2));
    await multus.must('ADD');
    const [first, second] = JSON.parse(readFileSync(join(multus.cniDir, 'c1'), 'utf8'));
    const { dev, ino } = statSync(multus.pod.path);
    expect(first.braid).toMatchObject({
      netns: multus.pod.path,
      namespace: { inode: `${dev}:${ino}` },
      ifName: 'eth0',
    });
    expect(second).not.toHaveProperty('braid');
  });

  it('keeps keys of a result that it does not know', { tags: 'multus/prev-result' }, async () => {
    const result = { cniVersion: '1.1.0', ips: [{ address: '10.9.9.9/24', mood: 'good' }], extra: { b: 1, a: [null] } };
    await using multus = await Multus.open((own) => [
      own.rail(0),
      {
        cniVersion: '1.1.0',
        name: 'list',
        plugins: [
          { type: fakeType(own, 'first', answer(result)) },
          { type: fakeType(own, 'second', `${RECORD}\n${answer(result)}`) },
        ],
      },
    ]);
    await multus.must('ADD');
    const [add = ''] = recorded(multus.lab);
    expect(add).toContain(
      '"prevResult":{"cniVersion":"1.1.0","extra":{"a":[null],"b":1},"ips":[{"address":"10.9.9.9/24","mood":"good"}]}',
    );
    expect(readFileSync(join(multus.cniDir, 'results/list-c1-net1'), 'utf8')).toContain('"mood":"good"');
  });

  it('answers with the result of the first network, in the version of the call', async () => {
    await using multus = await Multus.open((own) => [own.rail(0, { cniVersion: '0.4.0' }), own.rail(1)]);
    expect(JSON.parse(await multus.must('ADD'))).toMatchObject({
      cniVersion: '1.1.0',
      ips: [{ address: '10.5.0.1/24' }],
    });
  });

  it('rotates its log, one line a write', { tags: 'multus/log-options' }, async () => {
    await using multus = await Multus.open(rails(1));
    const logFile = join(multus.lab.dir, 'log/multus.log');
    multus.conf = {
      ...multus.conf,
      logFile,
      logLevel: 'debug',
      logToStderr: false,
      logOptions: { maxSize: 1, maxBackups: 1 },
    };
    await multus.must('ADD');
    expect(readFileSync(logFile, 'utf8')).toMatch(/^\d{4}-\d\d-\d\dT\S+ \[(verbose|debug)\] Add: lab:web-0:u1:/m);
    appendFileSync(logFile, 'x'.repeat(1 << 20));
    await multus.must('DEL');
    expect(statSync(logFile).size).toBeLessThan(1 << 19);
    const isPacked = (name: string): boolean => name.endsWith('.gz');
    const files = (): Promise<readonly boolean[]> =>
      Promise.resolve(readdirSync(join(multus.lab.dir, 'log')).map(isPacked).sort());
    await eventually(files, [false, true]);
  });

  it('waits for the readiness file', { tags: 'multus/readiness-code' }, async () => {
    await using multus = await Multus.open(rails(1));
    const file = join(multus.lab.dir, 'ready');
    multus.conf = { ...multus.conf, readinessindicatorfile: file };
    const adding = multus.call('ADD');
    await sleep(300);
    expect(linkOf(await stateOf(multus.pod.name), 'eth0')).toBeUndefined();
    writeFileSync(file, '');
    expect(await adding).toMatchObject(OK);
  });

  it('gives up on the readiness file with code 11, in STATUS with 50', async () => {
    await using multus = await Multus.open(rails(1), { readinessindicatorfile: '/absent/ready' });
    const [add, status] = await Promise.all([multus.fails('ADD'), multus.fails('STATUS')]);
    expect([add, status]).toMatchObject([
      { code: 11, message: expect.stringContaining('/absent/ready') },
      { code: 50, message: expect.stringContaining('/absent/ready') },
    ]);
  }, 600_000);
});
