/** What multus remembers of a pod, and what DEL makes of it when it cannot be read: nothing is forgotten that is there. */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fake, RECORD } from '../../lab/fakes.ts';
import { PARENT } from '../../lab/lab.ts';
import { errorOf } from '../../lab/printed.ts';
import { GO, OURS, PLUGINS } from '../../lab/programs.ts';
import { filesIn, stateOf } from '../../lab/state.ts';
import { faked, Multus, OK, rails } from './lab.ts';

const UNUSABLE = { delegates: 'nonsense' };

/** What cannot be read, for root too: `/proc/self/mem` gives EIO. */
function breakDisk(multus: Multus, name: string): void {
  const path = join(multus.cniDir, name);
  rmSync(path, { recursive: true, force: true });
  symlinkSync('/proc/self/mem', path);
}

const remove = (multus: Multus, name: string): void => rmSync(join(multus.cniDir, name), { recursive: true });

const write = (multus: Multus, name: string, content: string): void =>
  writeFileSync(join(multus.cniDir, name), content);

function writeResults(multus: Multus, content: string): void {
  for (const name of readdirSync(join(multus.cniDir, 'results'))) {
    write(multus, `results/${name}`, content);
  }
}

describe.concurrent('multus DEL of records that are spoiled', () => {
  const gone: readonly { readonly what: string; readonly spoil: (multus: Multus) => void; readonly conf?: object }[] = [
    { what: 'a scratch file that cannot be read', spoil: (multus) => breakDisk(multus, 'c1') },
    {
      what: 'a scratch file that cannot be read, with a configuration that cannot be used',
      spoil: (multus) => breakDisk(multus, 'c1'),
      conf: UNUSABLE,
    },
    {
      what: 'a scratch file that cannot be read, without one of the results',
      spoil: (multus) => {
        breakDisk(multus, 'c1');
        remove(multus, 'results/rail-1-c1-net1');
      },
    },
    {
      what: 'a cut scratch file and empty results',
      spoil: (multus) => {
        write(multus, 'c1', readFileSync(join(multus.cniDir, 'c1'), 'utf8').slice(0, -9));
        writeResults(multus, '');
      },
    },
    {
      what: 'no scratch file, and a result that cannot be read',
      spoil: (multus) => {
        remove(multus, 'c1');
        breakDisk(multus, 'results/rail-1-c1-net1');
      },
    },
    {
      what: 'results that cannot be read beside a scratch file, with a configuration that cannot be used',
      spoil: (multus) => {
        breakDisk(multus, 'results/rail-0-c1-eth0');
        write(multus, 'results/rail-1-c1-net1', '');
      },
      conf: UNUSABLE,
    },
  ];

  it.each(gone)('ends with 0 when all is gone: $what', async ({ spoil, conf = {} }) => {
    await using multus = await Multus.open(rails(3));
    const before = await multus.everything();
    await multus.must('ADD');
    spoil(multus);
    multus.conf = { ...multus.conf, ...conf };
    await multus.must('DEL');
    expect(await multus.everything()).toEqual(before);
    await multus.must('DEL');
  });

  const kept: readonly { readonly what: string; readonly spoil: (multus: Multus) => void; readonly names: RegExp }[] = [
    {
      what: 'scratch file, results and configuration',
      spoil: (multus) => {
        write(multus, 'c1', '');
        writeResults(multus, '{"kind":');
      },
      names: /results\/rail-0-c1-eth0".*results\/rail-2-c1-net2".*remove ".*\/c1"/,
    },
    {
      what: 'the scratch file, which cannot be read, and the configuration, without results',
      spoil: (multus) => {
        breakDisk(multus, 'c1');
        remove(multus, 'results');
      },
      names:
        /cannot read record ".*\/c1": EIO .*repair the configuration, or detach the pod by hand and remove ".*\/c1"/,
    },
    {
      what: 'a result that cannot be read, and the configuration, without scratch file',
      spoil: (multus) => {
        remove(multus, 'c1');
        breakDisk(multus, 'results/rail-1-c1-net1');
      },
      names: /results\/rail-1-c1-net1": EIO .*detach it by hand and remove/,
    },
  ];

  it.each(kept)('fails and forgets nothing when it cannot tell: $what', async ({ spoil, names }) => {
    await using multus = await Multus.open(rails(3));
    const before = await multus.everything();
    await multus.must('ADD');
    spoil(multus);
    const good = multus.conf;
    multus.conf = { ...good, ...UNUSABLE };
    for (const _time of [1, 2]) {
      expect(await multus.fails('DEL')).toMatchObject({ code: 5, message: expect.stringMatching(names) });
    }
    multus.conf = good;
    await multus.must('DEL');
    expect(await multus.everything()).toEqual(before);
  });

  it('fails while the results cannot be listed, and nothing else tells', async () => {
    await using multus = await Multus.open(rails(2));
    const before = await multus.everything();
    await multus.must('ADD');
    remove(multus, 'c1');
    renameSync(join(multus.cniDir, 'results'), join(multus.lab.dir, 'away'));
    breakDisk(multus, 'results');
    expect(await multus.fails('DEL')).toMatchObject({
      code: 5,
      message: expect.stringContaining('/results": ENOTDIR'),
    });
    remove(multus, 'results');
    renameSync(join(multus.lab.dir, 'away'), join(multus.cniDir, 'results'));
    await multus.must('DEL');
    expect(await multus.everything()).toEqual(before);
  });

  it('keeps the scratch file while it alone knows a network whose DEL fails', {
    tags: 'multus/scratch-kept',
  }, async () => {
    await using multus = await Multus.open((own) => [
      own.rail(0),
      faked(
        own,
        1,
        `[ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"1.1.0"}' || [ -e "$PWD/well" ] || { echo '{"code":123,"msg":"no luck"}'; exit 1; }`,
      ),
    ]);
    const before = await multus.everything();
    await multus.must('ADD');
    remove(multus, 'results/rail-1-c1-net1');
    for (const _time of [1, 2]) {
      expect(await multus.fails('DEL')).toMatchObject({ code: 123 });
    }
    writeFileSync(join(multus.lab.dir, 'well'), '');
    await multus.must('DEL');
    expect(await multus.everything()).toEqual(before);
  });
});

describe('multus DEL with too few descriptors', () => {
  it('ends with 0 only when all is gone, and the next one finishes what it could not', async () => {
    await using multus = await Multus.open(rails(2));
    const before = await multus.everything();
    const outcomes = new Set<number | undefined>();
    for (let limit = 20; limit <= 32; limit++) {
      await multus.must('ADD');
      const bin = fake(multus.lab, 'multus', `ulimit -n ${limit}; exec ${join(OURS.bin, 'multus')}`);
      const { exitCode } = await multus.call('DEL', { side: { ...OURS, bin } });
      outcomes.add(exitCode);
      if (exitCode !== 0) {
        await multus.must('DEL');
      }
      expect(await multus.everything(), `${limit} descriptors, exit code ${exitCode}`).toEqual(before);
    }
    expect(outcomes).toContain(0);
    expect(outcomes).toContain(1);
  }, 900_000);
});

describe.concurrent('multus GC of results that are spoiled', () => {
  it('deletes what their names tell, and removes them; those of live containers stay', async () => {
    await using multus = await Multus.open(rails(2));
    const before = await multus.everything();
    await multus.must('ADD');
    remove(multus, 'c1');
    write(multus, 'results/rail-0-c1-eth0', '');
    write(multus, 'results/rail-1-c1-net1', '{"kind":"cniCac');
    write(multus, 'results/unknown-c7-net3', '');
    write(multus, 'results/unknown-c8-net3', '');
    const good = multus.conf;
    multus.conf = { ...good, 'cni.dev/valid-attachments': [{ containerID: 'c8', ifname: 'eth0' }] };
    await multus.must('GC');
    expect(readdirSync(join(multus.cniDir, 'results'))).toEqual(['unknown-c8-net3']);
    multus.conf = { ...good, 'cni.dev/valid-attachments': [] };
    await multus.must('GC');
    const after = await multus.everything();
    expect([after.cni, after.reserved]).toEqual([{}, before.reserved]);
    multus.conf = good;
  });
});

describe.concurrent('documents that are nested deep', () => {
  const deep = (levels: number): string => `${'{"a":'.repeat(levels)}{}${'}'.repeat(levels)}`;
  const confOf = (multus: Multus, side: typeof OURS, levels: number): string => {
    const hostLocal = { type: 'host-local', dataDir: join(multus.lab.dir, 'host-local'), subnet: '10.7.0.0/24' };
    const delegate = { cniVersion: '1.0.0', name: 'lan', type: 'macvlan', master: PARENT, ipam: hostLocal, deep: 'X' };
    return JSON.stringify({ ...multus.conf, cniVersion: '1.0.0', binDir: side.bin, delegates: [delegate] }).replace(
      '"X"',
      deep(levels),
    );
  };

  it.each([3_000, 5_000, 9_996])('are deleted as the Go multus has attached them: %i levels', async (levels) => {
    await using multus = await Multus.open([]);
    const look = async () => ({
      pod: await stateOf(multus.pod.name),
      files: Object.keys(filesIn(multus.lab.dir)).filter((name) => !/lock|last_reserved|\.owners|\/$/.test(name)),
    });
    const before = await look();
    const call = { plugin: 'multus', netns: multus.pod.path, ifName: 'eth0' };
    const added = await multus.lab.call({ ...call, verb: 'ADD', conf: confOf(multus, GO, levels) }, GO);
    expect(added).toMatchObject(OK);
    expect(await multus.lab.call({ ...call, verb: 'DEL', conf: confOf(multus, OURS, levels) })).toMatchObject(OK);
    expect(await look()).toEqual(before);
  });

  it('are refused by multus before anything is done when DEL could not read them', async () => {
    await using multus = await Multus.open([]);
    const before = await multus.everything();
    const call = { plugin: 'multus', netns: multus.pod.path, ifName: 'eth0', conf: confOf(multus, OURS, 9_997) };
    for (const verb of ['ADD', 'DEL']) {
      expect(errorOf(await multus.lab.call({ ...call, verb }))).toMatchObject({
        code: 6,
        message: expect.stringContaining('nested deeper than 10000 levels'),
      });
    }
    expect(await multus.everything()).toEqual(before);
  });

  it.each(PLUGINS)('are refused by %s with code 6', async (plugin) => {
    await using multus = await Multus.open([]);
    const conf = `{"cniVersion":"1.1.0","name":"lan","type":"${plugin}","deep":${deep(9_999)}}`;
    const outcome = await multus.lab.call({ verb: 'ADD', plugin, netns: multus.pod.path, conf });
    expect(errorOf(outcome)).toMatchObject({ code: 6 });
  });
});

describe.concurrent('multus ADD', () => {
  it.each(['results', 'c'.repeat(251), 'c'.repeat(255), 'c'.repeat(300)])(
    'refuses a container ID that no file can be named after, and DEL of it succeeds: %s',
    { tags: 'multus/container-id' },
    async (containerId) => {
      await using multus = await Multus.open(rails(1));
      await multus.must('ADD'); // there is a folder of results
      const before = await multus.everything();
      expect(await multus.fails('ADD', { containerId })).toMatchObject({
        code: 4,
        message: expect.stringContaining('CNI_CONTAINERID'),
      });
      await multus.must('DEL', { containerId });
      expect(await multus.everything()).toEqual(before);
    },
  );

  it('leaves to DEL what the Go multus began for an ID of 255 characters', async () => {
    await using multus = await Multus.open((own) => [{ ...own.rail(0), ipam: undefined }]);
    const before = await multus.everything();
    const containerId = 'c'.repeat(255);
    const binDir = multus.conf['binDir'];
    multus.conf = { ...multus.conf, binDir: GO.bin };
    expect((await multus.call('ADD', { containerId, side: GO })).exitCode).toBe(1);
    expect(existsSync(join(multus.cniDir, containerId))).toBe(true);
    multus.conf = { ...multus.conf, binDir };
    await multus.must('DEL', { containerId });
    expect(await multus.everything()).toEqual(before);
  });

  const BARE = { cniVersion: '1.1.0', name: 'wrong' };
  const wrong: readonly { readonly what: string; readonly make: (multus: Multus) => object; readonly code: number }[] =
    [
      { what: 'hardware address', make: (own) => own.rail(2, { mac: 'zz' }), code: 7 },
      { what: 'type of a key', make: (own) => own.rail(2, { mtu: '1500' }), code: 7 },
      {
        what: 'range of addresses',
        make: (own) => own.rail(2, { ipam: { ...own.whereabouts(2).ipam, range: '10.5.2.0/33' } }),
        code: 7,
      },
      { what: 'IPAM plugin', make: (own) => own.rail(2, { ipam: { type: 'absent-ipam' } }), code: 999 },
      {
        what: 'chained plugin',
        make: (own) => ({ ...BARE, plugins: [{ ...own.rail(2) }, { type: 'absent' }] }),
        code: 999,
      },
      { what: 'device of host-device', make: () => ({ ...BARE, type: 'host-device' }), code: 7 },
      { what: 'device of sriov', make: () => ({ ...BARE, type: 'sriov', deviceID: 'x' }), code: 7 },
      {
        what: 'VLAN of sriov',
        make: () => ({ ...BARE, type: 'sriov', deviceID: '0000:01:00.0', vlanQoS: 3 }),
        code: 7,
      },
      {
        what: 'folder of rdma',
        make: (own) => ({ ...BARE, plugins: [own.rail(2), { type: 'rdma', dataDir: 'relative' }] }),
        code: 7,
      },
      { what: 'place of rdma', make: () => ({ ...BARE, type: 'rdma' }), code: 7 },
      { what: 'length of a name', make: (own) => own.rail(2, { name: 'n'.repeat(250) }), code: 7 },
    ];

  it.each(wrong)('asks all networks before it attaches one: a wrong $what', async ({ make, code }) => {
    await using multus = await Multus.open((own) => [
      faked(own, 0, `${RECORD}\n[ "$CNI_COMMAND" != ADD ] || echo '{"cniVersion":"1.1.0"}'`),
      own.rail(1),
      make(own),
    ]);
    const before = await multus.everything();
    expect(await multus.fails('ADD')).toMatchObject({ code });
    expect(existsSync(join(multus.lab.dir, 'calls'))).toBe(false);
    expect(await multus.everything()).toEqual(before);
  });

  it('gives no interface name to two networks', async () => {
    await using multus = await Multus.open(rails(2));
    const before = await multus.everything();
    const call = { verb: 'ADD', plugin: 'multus', conf: multus.conf, netns: multus.pod.path, ifName: 'net1' };
    expect(errorOf(await multus.lab.call(call))).toMatchObject({
      code: 999,
      message: expect.stringContaining('"net1": network "rail-0"'),
    });
    expect(await multus.everything()).toEqual(before);
  });

  it.each(['0.3.1', '0.4.0', '1.0.0'])('prints the result in the version of the call, %s', async (cniVersion) => {
    await using multus = await Multus.open(rails(1), { cniVersion });
    const result = JSON.parse(await multus.must('ADD')) as { cniVersion: string; ips: { version?: string }[] };
    expect(result.cniVersion).toBe(cniVersion);
    expect(result.ips[0]?.version).toBe(cniVersion.startsWith('0') ? '4' : undefined);
    await multus.must('DEL');
  });

  it('takes all back when the result cannot be printed in that version', async () => {
    await using multus = await Multus.open(
      (own) => [faked(own, 0, `[ "$CNI_COMMAND" != ADD ] || echo '{"cniVersion":"1.1.0"}'`), own.rail(1)],
      { cniVersion: '0.2.0' },
    );
    const before = await multus.everything();
    expect((await multus.fails('ADD')).message).toContain('cannot print the result as version 0.2.0');
    expect(await multus.everything()).toEqual(before);
  });
});
