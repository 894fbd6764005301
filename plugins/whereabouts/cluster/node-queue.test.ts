import { existsSync, fstatSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { CniError } from '../../../lib/cni/errors.ts';
import { KeyedMutex } from '../../../lib/sys/keyed-mutex.ts';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import type { Caller, Step } from '../engine.ts';
import { LoadedPools } from '../loaded-pools.ts';
import { CALLER, releasing, reserving } from '../testing/steps.ts';
import { NodeQueue, type Work } from './node-queue.ts';
import { Tickets } from './tickets.ts';

const RANGE = '10.0.0.0/24';
const EAGAIN = -11;

/** flock as the kernel has it: of a file, not of its name; a closed descriptor holds nothing. */
function flocks() {
  const holders = new Map<number, number>();
  const isHeldBy = (fd: number, ino: number): boolean => {
    try {
      return fstatSync(fd).ino === ino;
    } catch {
      return false;
    }
  };
  return {
    lock: (fd: number): number => {
      const { ino } = fstatSync(fd);
      const holder = holders.get(ino);
      if (holder !== undefined && holder !== fd && isHeldBy(holder, ino)) {
        return EAGAIN;
      }
      holders.set(ino, fd);
      return 0;
    },
  };
}

/** A node whose calls are processes: they share nothing but the folder. */
function node({ waits = 0 } = {}) {
  const folder = temporaryFolder();
  const native = flocks();
  const clock = { ms: 0 };
  const caller: Caller = {
    ...CALLER,
    now: () => clock.ms,
    sleep: async (ms) => {
      clock.ms += ms;
      await sleep(waits);
    },
  };
  const queue = (mark = 'build'): NodeQueue => {
    // biome-ignore lint/suspicious/noExplicitAny: a queue asks for nothing else of a node
    const user = { node: { native, locks: new KeyedMutex() } as any };
    return new NodeQueue(folder.path, user, mark);
  };
  const place = join(folder.path, 'cluster-queue');
  const tickets = (): readonly string[] =>
    existsSync(place) ? readdirSync(place).filter((name) => name !== 'turn') : [];
  return { folder, native, clock, caller, queue, place, tickets };
}

/** Plans every step in one pool that stays empty, and lets them wait until `go`. */
function gate() {
  const rounds: string[][] = [];
  const { promise, resolve: open } = Promise.withResolvers<void>();
  const work: Work = async (steps) => {
    rounds.push(steps.map(({ asked }) => asked.owners[0]?.id ?? ''));
    if (rounds.length === 1) {
      await promise;
    }
    const pools = new LoadedPools([]);
    return steps.map((step): PromiseSettledResult<void> => {
      try {
        step.plan(pools);
        return { status: 'fulfilled', value: undefined };
      } catch (reason) {
        return { status: 'rejected', reason };
      }
    });
  };
  return { rounds, work, open };
}

const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) {
    await sleep(1);
  }
};

describe('a node whose calls want something of a cluster at the same time', () => {
  it('has whose turn it is serve all who wait, each of whom hears its own answer', async () => {
    const one = node();
    const { rounds, work, open } = gate();
    const answers: unknown[] = [];
    const call = async (step: Step): Promise<unknown> => {
      const [outcome] = await one.queue().serve([{ ...step, settle: (answer) => answers.push(answer) }], work);
      return outcome?.status === 'rejected' ? (outcome.reason as CniError).message : outcome?.status;
    };
    const first = call(wishing('first'));
    await until(() => rounds.length === 1);
    const others = [call(wishing('a')), call(failing('b')), call(wishing('c'))];
    await until(() => one.tickets().filter((name) => name.endsWith('.wish')).length === 3);
    open();
    expect(await Promise.all([first, ...others])).toEqual([
      'fulfilled',
      'fulfilled',
      expect.stringContaining('Could not allocate IP in range'),
      'fulfilled',
    ]);
    expect(rounds.map((round) => [...round].sort())).toEqual([['first'], ['a', 'b', 'c']]);
    expect(answers, 'of those whom another has served').toContainEqual([]);
    expect(one.tickets()).toEqual([]);
    one.folder[Symbol.dispose]();
  });

  it.each([
    ['a deletion', (): Step => wishing('second'), 10_000],
    ['a reservation', (): Step => failing('second'), 40_000],
  ])('serves nobody twice who does not want to wait any longer: %s', async (_, make, longestMs) => {
    const one = node();
    const { rounds, work, open } = gate();
    const first = one.queue().serve([wishing('first')], work);
    await until(() => rounds.length === 1);
    await one.queue().serve([{ ...make(), caller: one.caller }], work);
    expect(one.clock.ms, 'it has waited').toBeGreaterThanOrEqual(longestMs);
    expect(one.clock.ms).toBeLessThan(longestMs + 1000);
    open();
    await first;
    expect(rounds).toEqual([['first'], ['second']]);
    expect(one.tickets()).toEqual([]);
    one.folder[Symbol.dispose]();
  });

  it('serves no dead call, and those whom a dead one was serving again', async () => {
    const one = node();
    const { work, rounds, open } = gate();
    open();
    const dead = new Tickets(one.place, one.native, 'build');
    await one.queue().serve([wishing('makes the folder')], work);
    const ticket = dead.post([wantedBy('dead')]);
    const taken = new Tickets(one.place, one.native, 'build').take(9); // whose turn it was, and who was killed then
    expect(taken).toHaveLength(1);
    const [left] = one.tickets();
    expect(left).toMatch(/\.taken$/);
    const waiting = dead.take(9); // it still lives
    expect(waiting).toHaveLength(1);
    ticket[Symbol.dispose]();
    writeFileSync(join(one.place, '0-dead.wish'), ''); // nobody has it locked
    await one.queue().serve([wishing('next')], work);
    expect(rounds.at(-1)).toEqual(['next']);
    expect(one.tickets()).toEqual([]);
    one.folder[Symbol.dispose]();
  });

  it('leaves tickets of another build and another cluster alone', async () => {
    const one = node();
    const { work, rounds, open } = gate();
    open();
    await one.queue().serve([wishing('makes the folder')], work);
    using _ = new Tickets(one.place, one.native, 'another').post([wantedBy('other')]);
    await one.queue().serve([wishing('own')], work);
    expect(rounds.at(-1)).toEqual(['own']);
    expect(one.tickets()).toHaveLength(1);
    one.folder[Symbol.dispose]();
  });

  it('forgets answers that nobody has fetched', async () => {
    const one = node();
    const { work, open } = gate();
    open();
    await one.queue().serve([wishing('makes the folder')], work);
    const [old, young] = ['1-old.answer', '2-young.answer'].map((name) => join(one.place, name));
    writeFileSync(old ?? '', '');
    writeFileSync(young ?? '', '');
    utimesSync(old ?? '', 1, 1);
    await one.queue().serve([wishing('next')], work);
    expect(one.tickets()).toEqual(['2-young.answer']);
    one.folder[Symbol.dispose]();
  });

  it('asks at once what is only a question, or where the folder cannot be made', async () => {
    const one = node();
    const { work, open } = gate();
    open();
    await one.queue().serve([{ ...wishing('look'), isLook: true }], work);
    expect(one.tickets()).toEqual([]);
    expect(existsSync(one.place)).toBe(false);
    writeFileSync(one.place, 'a file');
    expect(await one.queue().serve([wishing('own')], work)).toEqual([{ status: 'fulfilled', value: undefined }]);
    one.folder[Symbol.dispose]();
  });

  it('lets a step that only its own process can plan go alone', async () => {
    const one = node();
    const { rounds, work, open } = gate();
    const first = one.queue().serve([wishing('first')], work);
    await until(() => rounds.length === 1);
    const { wish: _, ...own } = wishing('own');
    const second = one.queue().serve([own], work);
    open();
    await Promise.all([first, second]);
    expect(rounds).toEqual([['first'], ['own']]);
    one.folder[Symbol.dispose]();
  });
});

/** A release, which any pool grants. */
const wishing = (id: string): Step => releasing(`lab/p net1 ${id}`, [RANGE]);

/** Nothing is free in a pool that does not exist. */
function failing(id: string): Step {
  return reserving(`lab/p net1 ${id}`, [{ range: RANGE, exclude: [RANGE] }]).step;
}

const wantedBy = (id: string) => {
  const { networkName, asked, isRelease } = wishing(id);
  return { networkName, asked, isRelease, wish: { kind: 'release', attachment: { id, ifname: 'net1' } } as const };
};
