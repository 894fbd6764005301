/** Programs that are killed at any instant: what the next call finds, and that nothing is doubled or lost. */
import { describe, expect, it } from 'vitest';
import { inParallel } from '../../lab/execute.ts';
import { Lab, PARENT } from '../../lab/lab.ts';
import { type Call, OURS } from '../../lab/programs.ts';
import { Random, SEED } from '../../lab/random.ts';
import { roundsOf } from '../../lab/rounds.ts';
import { filesIn, stateOf } from '../../lab/state.ts';
import { podArgs, Store } from '../../lab/store.ts';

const ROUNDS = roundsOf(100, 300);
const WIDTH = 3;

const SAMPLES = 5;

/**
 * How long a call takes here, so that the instants of death are spread over it: a machine that stands still for a moment
 * must not have all of them after the end.
 *
 * @param back undoes the call
 */
async function durationOf(call: () => Promise<unknown>, back?: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let sample = 0; sample < SAMPLES; sample++) {
    const begin = performance.now();
    await call();
    least = Math.min(least, performance.now() - begin);
    await back?.();
  }
  return least;
}

describe('whereabouts', () => {
  const addresses = 62;
  const ranges = { ipRanges: [{ range: '10.5.0.0/26' }, { range: 'fd05::/122' }] };

  it(`${ROUNDS} ADDs killed at random, each followed by DEL or ADD, double no address and lose none (BRAID_SEED=${SEED})`, async () => {
    await using lab = await Lab.open();
    const store = new Store(lab, ranges);
    const random = new Random(SEED);
    await store.add('first'); // what is there for all calls is there now
    const typical = await durationOf(() => store.add('first'));
    const held = new Map([['first', await store.add('first')]]);
    const outcomes = { killed: 0, finished: 0 };
    const attachments = Array.from({ length: 24 }, (_, index) => ({
      id: `c${index}`,
      request: index % 2 === 0 ? {} : { args: podArgs(`p${index}`) },
    }));
    const rounds = Array.from({ length: ROUNDS }, (_, round) => ({
      worker: round % WIDTH,
      killAfterMs: random.next() * typical * 1.3,
      followUp: random.pick(['ADD', 'DEL', 'DEL and ADD']),
      killed: random.pick(['ADD', 'ADD', 'ADD', 'DEL']),
      choice: random.below(attachments.length / WIDTH),
    }));
    // each worker has attachments of its own: two calls on one at the same time are against the specification
    await inParallel(
      Array.from({ length: WIDTH }, (_, worker) => worker),
      WIDTH,
      async (worker) => {
        for (const { killAfterMs, followUp, killed, choice } of rounds.filter((round) => round.worker === worker)) {
          const { id, request } = attachments[choice * WIDTH + worker] ?? { id: '', request: {} };
          const { signal, exitCode } = await store.call(killed, id, { ...request, killAfterMs });
          expect([signal, exitCode]).toContain(signal === undefined ? 0 : 'SIGKILL');
          outcomes[signal === undefined ? 'finished' : 'killed']++;
          if (followUp !== 'ADD') {
            await store.del(id, request);
            held.delete(id);
          }
          if (followUp !== 'DEL') {
            held.set(id, await store.add(id, request));
          }
        }
      },
    );
    expect(outcomes.killed).toBeGreaterThan(ROUNDS / 10);
    const before = [...held.values()].flat();
    expect(new Set(before).size).toBe(before.length);
    const more: string[] = [];
    await inParallel(
      Array.from({ length: addresses - held.size }, (_, index) => `fill${index}`),
      WIDTH,
      async (id) => void more.push(...(await store.add(id))),
    );
    expect(new Set([...before, ...more]).size).toBe(addresses * 2);
    expect(await store.fails('ADD', 'one-too-many')).toMatchObject({
      code: 999,
      message: expect.stringContaining('Could not allocate IP in range'),
    });
    for (const [id, given] of held) {
      expect(await store.add(id, attachments.find((attachment) => attachment.id === id)?.request ?? {})).toEqual(given);
    }
  }, 900_000);
});

describe.each([
  {
    plugin: 'macvlan',
    conf: (dir: string) => ({
      cniVersion: '1.0.0',
      name: 'net-a',
      type: 'macvlan',
      master: PARENT,
      ipam: { type: 'whereabouts', datastore: 'file', data_dir: `${dir}/store`, range: '10.5.0.0/24' },
    }),
  },
  {
    plugin: 'multus',
    conf: (dir: string) => ({
      cniVersion: '1.0.0',
      name: 'node',
      type: 'multus',
      cniDir: `${dir}/cni`,
      binDir: OURS.bin,
      delegates: [0, 1, 2].map((rail) => ({
        cniVersion: '1.0.0',
        name: `rail-${rail}`,
        type: 'macvlan',
        master: PARENT,
        ipam: { type: 'whereabouts', datastore: 'file', data_dir: `${dir}/store`, range: `10.5.${rail}.0/24` },
      })),
    }),
  },
])('$plugin', ({ plugin, conf }) => {
  const kills = Math.ceil(ROUNDS / 4);

  it(`${kills} ADDs killed at random, each followed by DEL, leave nothing (BRAID_SEED=${SEED})`, async () => {
    const random = new Random(SEED + 1);
    const instants = Array.from({ length: kills }, () => random.next());
    const outcomes = { killed: 0, finished: 0 };
    await inParallel(
      Array.from({ length: WIDTH }, (_, worker) => worker),
      WIDTH,
      async (worker) => {
        await using lab = await Lab.open();
        const pod = await lab.pod();
        const call = (verb: string): Call => ({ verb, plugin, conf: conf(lab.dir), netns: pod.path, ifName: 'eth0' });
        await lab.call(call('ADD')); // what is there for all calls is there now
        await lab.call(call('DEL'));
        const typical = await durationOf(
          () => lab.call(call('ADD')),
          () => lab.call(call('DEL')),
        );
        const look = async () => ({
          pod: await stateOf(pod.name),
          node: await stateOf(lab.node),
          cni: filesIn(`${lab.dir}/cni`),
        });
        const before = await look();
        for (const instant of instants.filter((_, index) => index % WIDTH === worker)) {
          const { signal } = await lab.call(call('ADD'), OURS, { killAfterMs: instant * typical * 1.2 });
          outcomes[signal === undefined ? 'finished' : 'killed']++;
          expect(await lab.call(call('DEL'))).toMatchObject({ exitCode: 0, stdout: '' });
          expect(await look()).toEqual(before);
        }
        const store = new Store(lab, { range: '10.5.0.0/24' });
        expect(await store.add('next')).toEqual(['10.5.0.1/24']);
      },
    );
    expect(outcomes.killed).toBeGreaterThan(kills / 10);
  }, 900_000);

  it(`DELs killed at random, each followed by DEL, leave nothing (BRAID_SEED=${SEED})`, async () => {
    const random = new Random(SEED + 2);
    await using lab = await Lab.open();
    const pod = await lab.pod();
    const call = (verb: string): Call => ({ verb, plugin, conf: conf(lab.dir), netns: pod.path, ifName: 'eth0' });
    const look = async () => ({
      pod: await stateOf(pod.name),
      node: await stateOf(lab.node),
      cni: filesIn(`${lab.dir}/cni`),
    });
    await lab.call(call('ADD'));
    const typical = await durationOf(
      () => lab.call(call('DEL')),
      () => lab.call(call('ADD')),
    );
    await lab.call(call('DEL'));
    const before = await look();
    for (let round = 0; round < 15; round++) {
      expect(await lab.call(call('ADD'))).toMatchObject({ exitCode: 0 });
      await lab.call(call('DEL'), OURS, { killAfterMs: random.next() * typical * 1.2 });
      expect(await lab.call(call('DEL'))).toMatchObject({ exitCode: 0, stdout: '' });
      expect(await look()).toEqual(before);
    }
    expect(await new Store(lab, { range: '10.5.0.0/24' }).add('next')).toEqual(['10.5.0.1/24']);
  }, 900_000);
});
