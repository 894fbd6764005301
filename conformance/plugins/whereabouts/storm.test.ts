/** Many pods at once, and damage at random places, with programs as they are built. */
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inParallel } from '../../lab/execute.ts';
import { Lab, PARENT } from '../../lab/lab.ts';
import { errorOf } from '../../lab/printed.ts';
import { OURS } from '../../lab/programs.ts';
import { Random, SEED } from '../../lab/random.ts';
import { reservationsIn } from '../../lab/reservations.ts';
import { databaseIn, podArgs, RANGE, Store } from '../../lab/store.ts';

const PODS = Number(process.env['BRAID_STORM_PODS'] ?? 48);
const NETWORKS = 16;
const PROCESSES = 16;

describe('a storm', () => {
  it(`of ${PODS} pods with ${NETWORKS} networks each, ${PROCESSES} processes at a time, doubles and loses nothing`, async () => {
    await using lab = await Lab.open();
    const dataDir = lab.folder('store');
    const delegates = Array.from({ length: NETWORKS }, (_, rail) => ({
      cniVersion: '1.0.0',
      name: `rail-${rail}`,
      type: 'macvlan',
      master: PARENT,
      // half of them share a range
      ipam: { type: 'whereabouts', datastore: 'file', data_dir: dataDir, range: `10.${20 + Math.min(rail, 8)}.0.0/16` },
    }));
    const conf = {
      cniVersion: '1.0.0',
      name: 'node',
      type: 'multus',
      cniDir: lab.folder('cni'),
      binDir: OURS.bin,
      delegates,
    };
    const pods = await Promise.all(Array.from({ length: PODS }, () => lab.pod()));
    const all = pods.map((pod, index) => ({ pod, containerId: `c${index}`, args: podArgs(`p${index}`) }));
    const call = (verb: string, { pod, containerId, args }: (typeof all)[number]) =>
      lab.call({ verb, plugin: 'multus', conf, netns: pod.path, ifName: 'eth0', containerId, args });
    await inParallel(all, PROCESSES, async (one) => {
      expect(await call('ADD', one)).toMatchObject({ exitCode: 0, stderr: '' });
    });
    const held = reservationsIn(dataDir);
    expect(held).toHaveLength(PODS * NETWORKS);
    expect(new Set(held.map(({ address }) => address)).size).toBe(PODS * NETWORKS);
    await inParallel(all, PROCESSES, async (one) => {
      expect(await call('DEL', one)).toMatchObject({ exitCode: 0 });
    });
    expect(reservationsIn(dataDir)).toEqual([]);
  }, 600_000);
});

describe('damage', () => {
  const rounds = 60;

  it(`of the files at ${rounds} random places doubles no address (BRAID_SEED=${SEED})`, async () => {
    await using lab = await Lab.open();
    const random = new Random(SEED);
    const store = new Store(lab, RANGE);
    const ids = Array.from({ length: 40 }, (_, index) => `c${index}`);
    await inParallel(ids, 4, async (id) => void (await store.add(id)));
    await inParallel(ids.slice(0, 10), 4, (id) => store.del(id));
    const taken = new Map(reservationsIn(store.folder).map(({ address, containerId }) => [address, containerId]));
    const sound = lab.folder('sound');
    const names = readdirSync(store.folder).filter((name) => !name.endsWith('-shm') && !name.startsWith('kept'));
    for (const name of names) {
      copyFileSync(join(store.folder, name), join(sound, name));
    }
    const outcomes = { refused: 0, given: 0 };
    for (let round = 0; round < rounds; round++) {
      rmSync(`${databaseIn(sound).replace(sound, store.folder)}-shm`, { force: true });
      for (const name of names) {
        copyFileSync(join(sound, name), join(store.folder, name));
      }
      const name = random.pick(names);
      const bytes = readFileSync(join(sound, name));
      const at = random.below(bytes.length);
      const kind = random.pick(['bit', 'zeros', 'cut']);
      if (kind === 'bit') {
        bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random.below(8)), at);
      } else if (kind === 'zeros') {
        bytes.fill(0, at, Math.min(bytes.length, at + 512));
      }
      writeFileSync(join(store.folder, name), kind === 'cut' ? bytes.subarray(0, at) : bytes);
      for (const id of ['new', random.pick(ids)]) {
        const outcome = await store.call('ADD', id);
        if (outcome.exitCode === 0) {
          outcomes.given++;
          const address = (JSON.parse(outcome.stdout) as { ips: { address: string }[] }).ips[0]?.address ?? '';
          const holder = taken.get(address.replace('/24', ''));
          expect([undefined, id], `round ${round}: ${kind} at ${at} of ${name}`).toContain(holder);
        } else {
          outcomes.refused++;
          expect(errorOf(outcome)).toMatchObject({ code: 5 });
        }
      }
    }
    expect(outcomes.refused).toBeGreaterThan(rounds / 6);
    expect(outcomes.given).toBeGreaterThan(rounds / 6);
  }, 600_000);
});
