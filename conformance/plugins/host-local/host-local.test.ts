/** What host-local does beside what the Go plugin does, with programs as they are built. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { effectsOf, faulty } from '../../lab/faults.ts';
import { Lab, PARENT } from '../../lab/lab.ts';
import { errorOf } from '../../lab/printed.ts';
import { type Call, GO, OURS } from '../../lab/programs.ts';
import { stateOf } from '../../lab/state.ts';
import { killAfterEach, killedAfter } from '../../lab/steps.ts';
import { addressesOf, DUAL, Network, RANGE, withNetwork } from './lab.ts';

const SMALL = { ranges: [[{ subnet: '10.5.0.0/24', rangeEnd: '10.5.0.4' }]] };
const onDisk = async (options: string) => {
  const lab = await Lab.open();
  const disk = await lab.smallDisk('disk', options);
  const network = new Network(lab, RANGE, join(disk, 'store'));
  return { lab, disk, network, filler: join(disk, 'filler') };
};
type Disk = Awaited<ReturnType<typeof onDisk>>;

/** Takes every block that is left. */
function fillBlocks({ filler }: Disk): void {
  for (let bytes = 16 * 1024; bytes >= 4096; ) {
    try {
      writeFileSync(filler, Buffer.alloc(bytes), { flag: 'a' });
    } catch {
      bytes /= 2;
    }
  }
}

/** Takes every inode that is left. */
function fillInodes({ filler }: Disk): void {
  mkdirSync(filler);
  try {
    for (let i = 0; ; i++) {
      writeFileSync(join(filler, String(i)), '');
    }
  } catch {
    // none is left
  }
}

describe('the folder', () => {
  it(
    'has a file of ours, which may go and come',
    { tags: 'host-local/owners' },
    withNetwork(RANGE, async (network) => {
      await network.add('a');
      expect(readdirSync(network.folder)).toContain('.owners');
      rmSync(join(network.folder, '.owners'));
      expect((await network.fails('ADD', 'a')).message).toContain('10.5.0.2 has been allocated to a');
    }),
  );

  it(
    'is not made by DEL, and a lock is not needed by it',
    { tags: 'host-local/del-folder' },
    withNetwork(RANGE, async (network) => {
      await network.del('a');
      expect(existsSync(network.folder)).toBe(false);
      network.write('10.5.0.9', 'a\r\nnet1');
      mkdirSync(join(network.folder, 'lock'));
      expect((await network.call(GO, 'DEL', 'a')).exitCode).toBe(1);
      const outcome = await network.call(OURS, 'DEL', 'a');
      expect(outcome).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('continuing without a lock') });
      expect(readdirSync(network.folder)).toEqual(['lock']);
    }),
  );

  it(
    'below another one is of another network, also to DEL',
    { tags: 'host-local/own-files' },
    withNetwork(RANGE, async (network) => {
      const below = new Network(network.lab, RANGE, network.folder);
      for (const side of [OURS, GO]) {
        await network.add(side.name, {}, side);
        const [address = ''] = await below.add(side.name, {}, side);
        await network.del(side.name, {}, side);
        expect(existsSync(join(below.folder, address))).toBe(side === OURS);
      }
    }),
  );
});

describe('CHECK', () => {
  it(
    'wants the addresses of prevResult to be those that are held',
    { tags: 'host-local/check-previous' },
    withNetwork(RANGE, async (network) => {
      await network.add('a');
      await network.add('b');
      const previous = (address: string) => ({ document: { prevResult: { cniVersion: '1.1.0', ips: [{ address }] } } });
      expect(await network.call(OURS, 'CHECK', 'a', previous('10.5.0.2/24'))).toMatchObject({
        exitCode: 0,
        stdout: '',
      });
      expect(await network.call(GO, 'CHECK', 'a', previous('10.5.0.3/24'))).toMatchObject({ exitCode: 0 });
      expect((await network.fails('CHECK', 'a', previous('10.5.0.3/24'))).message).toContain('10.5.0.3');
    }),
  );
});

describe('empty files', () => {
  it(
    'are given when no other is free, and freed by GC',
    { tags: 'host-local/empty' },
    withNetwork(SMALL, async (network) => {
      network.write('10.5.0.2', '');
      expect([await network.add('a'), await network.add('b', {}, GO)]).toEqual([['10.5.0.3'], ['10.5.0.4']]);
      expect((await network.call(GO, 'ADD', 'c')).stdout).toContain('no IP addresses available');
      expect(await network.add('c')).toEqual(['10.5.0.2']);
      expect((await network.fails('ADD', 'd')).message).toContain('no IP addresses available in range set');
      await network.del('c', {}, GO);
      network.write('10.5.0.2', '');
      const valid = ['a', 'b'].map((containerID) => ({ containerID, ifname: 'net1' }));
      const collected = await network.call(OURS, 'GC', '', { document: { 'cni.dev/valid-attachments': valid } });
      expect(collected).toMatchObject({ exitCode: 0, stdout: '' });
      expect(Object.keys(network.held())).toEqual(['10.5.0.3', '10.5.0.4']);
      await network.call(OURS, 'GC', '', { document: { 'cni.dev/valid-attachments': [] } });
      expect(network.held()).toEqual({});
    }),
  );
});

describe.each([
  { what: 'no blocks', options: '256k', fill: fillBlocks },
  { what: 'no inodes', options: '256k,nr_inodes=30', fill: fillInodes },
])('a disk with $what left', ({ options, fill }) => {
  it('lets every pod go and gives no address, nor leaves anything; with room again all is as before', async () => {
    const disk = await onDisk(options);
    await using _ = disk.lab;
    const { network } = disk;
    const ids = ['a', 'b', 'c'];
    for (const id of ids) {
      await network.add(id);
    }
    fill(disk);
    const before = network.held();
    expect(await network.fails('ADD', 'd')).toMatchObject({ code: 5, message: expect.stringContaining('ENOSPC') });
    expect(network.held()).toEqual(before);
    expect(await network.fails('STATUS', '')).toMatchObject({ code: 50, message: expect.stringContaining('ENOSPC') });
    await network.del('a');
    await network.del('none');
    expect(Object.keys(network.held())).toEqual(['10.5.0.3', '10.5.0.4']);
    rmSync(disk.filler, { recursive: true });
    expect(await network.add('a')).toEqual(['10.5.0.5']);
    await network.del('b');
    expect(Object.keys(network.held())).toEqual(['10.5.0.4', '10.5.0.5']);
  });
});

describe.each([
  { what: 'the first ADD', verb: 'ADD', before: [] },
  { what: 'an ADD', verb: 'ADD', before: ['first'] },
  { what: 'a DEL', verb: 'DEL', before: ['first', 'x'] },
])('$what', ({ verb, before }) => {
  /** The network as it is before the call, and what must be so after it. */
  async function open(lab: Lab) {
    const network = new Network(lab, DUAL);
    const renew = async () => {
      rmSync(network.folder, { recursive: true, force: true });
      for (const id of before) {
        await network.add(id);
      }
    };
    const goOn = async () => {
      await network.del('x');
      const [four, six] = await network.add('x');
      const owners = Object.entries(network.held()).map(([name, owner]) => [owner.replace('\r\nnet1', ''), name]);
      const kept = before
        .filter((id) => id !== 'x')
        .flatMap((id) => [
          [id, '10.5.0.2'],
          [id, 'fd05::2'],
        ]);
      expect(owners.sort()).toEqual([...kept, ['x', four], ['x', six]].sort());
    };
    return { network, renew, goOn };
  }

  it('killed after any of its effects doubles nothing, and the DEL that follows leaves nothing', async () => {
    await using lab = await Lab.open();
    const { network, renew, goOn } = await open(lab);
    await killAfterEach(3, {
      before: renew,
      call: async (last) => network.call(OURS, verb, 'x', { env: await killedAfter('host-local', lab.dir, last) }),
      after: goOn,
    });
  }, 600_000);

  it.each(['ENOSPC', 'EIO'] as const)(
    'that meets %s at any of its effects fails cleanly, or has done its work',
    { tags: verb === 'ADD' ? 'host-local/disk-full' : [], timeout: 600_000 },
    async (error) => {
      await using lab = await Lab.open();
      const { network, renew, goOn } = await open(lab);
      for (let from = 1, isMet = true; isMet; from++) {
        await renew();
        const had = Object.keys(network.held()).length;
        const env = await faulty(lab.dir, {
          of: 'host-local',
          below: network.folder,
          from,
          error,
          isOnce: error === 'EIO',
        });
        const outcome = await network.call(OURS, verb, 'x', { env });
        isMet = effectsOf(outcome) >= from;
        const what = `${error} at ${from}: ${outcome.stdout}${outcome.stderr}`;
        const now = Object.values(network.held()).filter((owner) => owner.startsWith('x')).length;
        if (outcome.exitCode !== 0) {
          expect(errorOf(outcome), what).toMatchObject({ code: 5 });
        }
        if (verb === 'ADD') {
          expect(now === 2, what).toBe(outcome.exitCode === 0);
        } else {
          expect(outcome.exitCode !== 0 || now === 0, what).toBe(true);
        }
        if (verb === 'ADD' && outcome.exitCode !== 0 && error === 'EIO') {
          expect(Object.keys(network.held()), what).toHaveLength(had);
        }
        await goOn();
      }
    },
  );
});

describe('networks of one pod', () => {
  it('with multus and macvlan have their addresses in one process, and each in its folder', async () => {
    await using lab = await Lab.open();
    const pod = await lab.pod();
    const dataDir = lab.folder('store');
    const ipamOf = (rail: number) => ({ type: 'host-local', dataDir, ranges: [[{ subnet: `10.7.${rail}.0/24` }]] });
    const delegates = Array.from({ length: 16 }, (_, rail) => ({
      cniVersion: '1.0.0',
      name: `rail-${rail}`,
      type: 'macvlan',
      master: PARENT,
      ipam: ipamOf(rail),
    }));
    const conf = {
      cniVersion: '1.0.0',
      name: 'node',
      type: 'multus',
      cniDir: lab.folder('cni'),
      binDir: OURS.bin,
      delegates,
    };
    const call = (verb: string): Call => ({ verb, plugin: 'multus', conf, netns: pod.path, ifName: 'eth0' });
    const before = await stateOf(pod.name);
    expect(await lab.call(call('ADD'))).toMatchObject({ exitCode: 0, stderr: '' });
    const given = (await stateOf(pod.name)).addresses.map(({ local }) => String(local));
    expect(given).toEqual(expect.arrayContaining(delegates.map((_, rail) => `10.7.${rail}.2`)));
    expect(await lab.call(call('CHECK'))).toMatchObject({ exitCode: 0 });
    expect(await lab.call(call('DEL'))).toMatchObject({ exitCode: 0 });
    expect(await stateOf(pod.name)).toEqual(before);
    const left = delegates.flatMap(({ name }) => readdirSync(join(dataDir, name)).filter((file) => /^10\./.test(file)));
    expect(left).toEqual([]);
    const next = new Network(lab, { ranges: ipamOf(0).ranges }, dataDir);
    expect(addressesOf(await next.call(OURS, 'ADD', 'n', { document: { name: 'rail-0' } }))).toEqual(['10.7.0.3']);
  });
});
