/** How multus runs the plugins of its own build: inside its process, with the same outcome as executed ones. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventually } from '../../lab/eventually.ts';
import { mustRun } from '../../lab/execute.ts';
import { answer, RECORD, recordedVerbs } from '../../lab/fakes.ts';
import { PARENT } from '../../lab/lab.ts';
import { monitored } from '../../lab/monitor.ts';
import { envOf, OURS, SCRIPT, type Side, stdinOf } from '../../lab/programs.ts';
import { reservationsIn } from '../../lab/reservations.ts';
import { filesIn, stateOf } from '../../lab/state.ts';
import { faked, Multus, rails } from './lab.ts';

describe('a delegate of this build', () => {
  const kinds: readonly {
    readonly what: string;
    readonly delegates: (multus: Multus) => readonly unknown[];
    readonly more?: object;
  }[] = [
    {
      what: 'three rails',
      delegates: (own) => [0, 1, 2].map((index) => own.rail(index, { mac: `02:5e:00:00:00:0${index}` })),
    },
    {
      what: 'chained plugins',
      delegates: (own) => [
        own.rail(0, { mac: '02:5e:00:00:00:00' }),
        {
          cniVersion: '1.0.0',
          name: 'list',
          plugins: [
            { type: 'macvlan', master: PARENT, mac: '02:5e:00:00:00:01', ...own.whereabouts(1) },
            { type: 'tuning', sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1' } },
          ],
        },
      ],
    },
    {
      what: 'IPAM of Go',
      delegates: (own) => [
        own.rail(0, {
          mac: '02:5e:00:00:00:00',
          ipam: { type: 'host-local', dataDir: own.store, ranges: [[{ subnet: '10.7.0.0/24' }]] },
        }),
      ],
    },
    { what: 'a second network that fails', delegates: (own) => [own.rail(0), own.rail(1, { mtu: 9000 })] },
    {
      what: 'a second network that is full',
      delegates: (own) => [
        own.rail(0),
        own.rail(1, { ipam: { ...own.whereabouts(1).ipam, exclude: ['10.5.1.0/24'] } }),
      ],
    },
    {
      what: 'versions of all kinds',
      delegates: (own) => [
        own.rail(0, { mac: '02:5e:00:00:00:00', cniVersion: '0.2.0' }),
        own.rail(1, { mac: '02:5e:00:00:00:01', cniVersion: '0.4.0' }),
      ],
    },
    { what: 'a log', delegates: (own) => [own.rail(0, { mac: '02:5e:00:00:00:00' })], more: { logLevel: 'debug' } },
  ];

  for (const { what, delegates, more } of kinds) {
    it(`does the same inside the process and executed: ${what}`, async () => {
      await using multus = await Multus.open(delegates, more);
      const seen: unknown[] = [];
      for (const env of [{}, { BRAID_EXEC_DELEGATES: '1' }]) {
        const steps: unknown[] = [];
        for (const verb of ['ADD', 'CHECK', 'STATUS', 'DEL', 'DEL']) {
          const { stdout, exitCode } = await multus.call(verb, { env });
          const { links, ...state } = await stateOf(multus.pod.name);
          const files = { cni: filesIn(multus.cniDir), held: reservationsIn(multus.store) };
          const steady = links.map(({ ifindex: _, link_index: __, ...link }) => link);
          steps.push({ verb, stdout, exitCode, steady, state, files });
        }
        seen.push(steps);
        rmSync(multus.store, { recursive: true });
        mkdirSync(multus.store);
      }
      expect(seen[1]).toEqual(seen[0]);
    });
  }

  it('is not executed: it works without permission to', async () => {
    await using multus = await Multus.open(rails(8, {}));
    const bin = multus.lab.folder('bin');
    for (const name of ['macvlan', 'whereabouts']) {
      writeFileSync(join(bin, name), readFileSync(join(SCRIPT, name)), { mode: 0o644 });
    }
    multus.conf = { ...multus.conf, binDir: bin };
    await multus.must('ADD');
    expect(await multus.fails('CHECK', { env: { BRAID_EXEC_DELEGATES: '1' } })).toMatchObject({
      code: 999,
      message: expect.stringMatching(/permission denied|EACCES/),
    });
    await multus.must('DEL');
  });

  it('is not taken for this build when its bytes are others', async () => {
    await using multus = await Multus.open(rails(1));
    const bin = multus.lab.folder('bin');
    for (const name of ['macvlan', 'whereabouts']) {
      writeFileSync(join(bin, name), `#!/bin/sh\n${RECORD}\n${answer({ cniVersion: '1.1.0' })}\n`, { mode: 0o755 });
    }
    multus.conf = { ...multus.conf, binDir: bin };
    await multus.must('ADD');
    expect(recordedVerbs(multus.lab)).toEqual(['ADD']);
  });

  it('8 networks take one process: no more tasks than one network', { tags: 'all/one-process' }, async () => {
    const counts: number[] = [];
    for (const { count, env } of [
      { count: 1, env: {} },
      { count: 8, env: {} },
      { count: 8, env: { BRAID_EXEC_DELEGATES: '1' } },
    ]) {
      await using multus = await Multus.open(rails(count));
      counts.push(await tasksOf(multus, env));
    }
    const [one = 0, eight = 0, executed = 0] = counts;
    expect(one).toBeGreaterThan(0);
    expect(eight).toBe(one);
    expect(executed).toBeGreaterThanOrEqual(one + 16); // macvlan and whereabouts of each network: the count does see processes
  });

  it('reserves the addresses of its own plugins in one step, and makes their links in order', {
    tags: 'multus/add-together',
  }, async () => {
    await using multus = await Multus.open(rails(4));
    await multus.must('ADD');
    expect(readFileSync(join(multus.store, 'sequence'), 'utf8')).toMatch(/^\w+ 0*1 /); // one transaction
    expect(reservationsIn(multus.store).map(({ range }) => range)).toEqual(
      [0, 1, 2, 3].map((index) => `10.5.${index}.0/24`),
    );
    const { links } = await stateOf(multus.pod.name);
    const made = links.map(({ ifname, ifindex }) => [String(ifname), Number(ifindex)] as const);
    const inOrder = made.toSorted(([, a], [, b]) => a - b).map(([name]) => name);
    expect(inOrder).toEqual(['lo', 'eth0', 'net1', 'net2', 'net3']);
  });

  it('waits for duplicate addresses of all networks at once', async () => {
    await using multus = await Multus.open((own) =>
      [0, 1, 2, 3].map((index) => {
        const { ipam } = own.whereabouts(index);
        return own.rail(index, { ipam: { ...ipam, range: `fd0${index}::/64` } });
      }),
    );
    await mustRun(['ip', 'netns', 'exec', multus.pod.name, 'sysctl', '-q', '-w', 'net.ipv6.conf.default.accept_dad=1']);
    const events = await monitored(multus.pod.name, () => multus.must('ADD'));
    const lines = events.filter((line) => / fd0\d::/.test(line));
    const isSettled = lines.map((line) => !line.includes('tentative'));
    // every address is there before the first one is settled
    expect(isSettled.indexOf(true)).toBeGreaterThanOrEqual(4);
  });

  it('deletes the links of its own plugins with few requests', { tags: 'multus/del-together' }, async () => {
    await using multus = await Multus.open(rails(8));
    await multus.must('ADD');
    const events = await monitored(multus.pod.name, () => multus.must('DEL'));
    // links that share a request are put into one group first: that shows as a change of the link
    const groups = new Set(events.flatMap((line) => / group (\d+) /.exec(line)?.[1] ?? []));
    expect(groups.size).toBeGreaterThan(0);
    expect(groups.size).toBeLessThan(8);
    expect(events.filter((line) => /^Deleted .*: (eth0|net\d)/.test(line)).length).toBeGreaterThanOrEqual(8);
  });
});

describe('the script form', () => {
  it('attaches and detaches like the standalone program', async () => {
    const side: Side = { ...OURS, bin: SCRIPT };
    await using multus = await Multus.open(rails(3), { binDir: SCRIPT });
    const before = await multus.everything();
    await multus.must('ADD', { side });
    await multus.must('CHECK');
    await multus.must('DEL', { side });
    expect(await multus.everything()).toEqual(before);
  });
});

describe('a delegate of others that does not end', () => {
  it('is killed with its children after delegateTimeout, and what was attached before it is taken back', async () => {
    const hangs = `[ "$CNI_COMMAND" = ADD ] || exit 0\nsleep 3600 &\necho $! > "$PWD/child"\nwait`;
    await using multus = await Multus.open((own) => [own.rail(0), faked(own, 1, hangs)], { delegateTimeout: 1 });
    const before = await multus.everything();
    expect(await multus.fails('ADD')).toMatchObject({
      code: 11,
      message: expect.stringMatching(/fake-1" did not end within 1 s and was killed/),
    });
    expect(await multus.everything()).toEqual(before);
    const child = readFileSync(join(multus.lab.dir, 'child'), 'utf8').trim();
    await eventually(async () => existsSync(`/proc/${child}`), false);
    await multus.must('DEL');
  });
});

/**
 * How many tasks (processes and their threads) an ADD of multus takes: in a process namespace of its own numbers are
 * given one after another, so the number of the next process tells.
 */
async function tasksOf(multus: Multus, env: Readonly<Record<string, string>>): Promise<number> {
  const call = { verb: 'ADD', plugin: 'multus', conf: multus.conf, netns: multus.pod.path, ifName: 'eth0', env };
  const script = `"$0" >&2 || exit; sh -c 'echo $$'`;
  const argv = ['unshare', '--pid', '--fork', '--mount-proc', 'sh', '-c', script, join(OURS.bin, 'multus')];
  const { stdout, stderr, exitCode } = await multus.lab.execute(argv, {
    env: envOf(OURS, call),
    stdin: stdinOf(multus.conf),
    cwd: multus.lab.dir,
  });
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  return Number(stdout) - 2; // the shell is 1, the first task of multus 2
}
