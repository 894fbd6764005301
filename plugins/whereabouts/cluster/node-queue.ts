import { join } from 'node:path';
import { makeFolder } from '../../../lib/sys/atomic-file.ts';
import { FileLock, type LockUser } from '../../../lib/sys/lock.ts';
import type { Caller, Step } from '../engine.ts';
import { planWish } from '../wish.ts';
import { type Outcome, type Taken, type Ticket, Tickets, TURN, type Wanted } from './tickets.ts';

/**
 * Then a call goes on without its turn: nothing depends on it but the number of requests. Who is before it may wait for a
 * server that is away, and a pod that goes must not wait as long: its deletion can be finished later.
 */
const LONGEST_MS = { release: 10_000, other: 40_000 };
const LONGEST_PAUSE_MS = 8;

/** Steps that are served together: a patch for all of them must stay far below what the server takes. */
const MOST_STEPS = 256;

/** What goes on around the serving of steps, and before it is known who else wants something. */
export type Around = <T>(steps: readonly Step[], work: () => Promise<T>) => Promise<T>;

export type Work = (steps: readonly Step[]) => Promise<readonly PromiseSettledResult<void>[]>;

/** What the calls of a node ask of a cluster, in turn. */
export interface Turns {
  /** Serves the steps, and maybe others' with them; or has others serve them. */
  serve(steps: readonly Step[], work: Work, around?: Around): Promise<readonly PromiseSettledResult<void>[]>;
}

/**
 * The calls of a node take turns, since a pool's object is written as a whole: who writes it at the same time as others
 * makes the server do it again and again. And whose turn it is serves those who wait, too, each of whom has left a ticket.
 *
 * The turn is a lock, so it ends with its holder: what that one leaves half done is found, as if its own call had been
 * killed, by the next, who serves the same tickets again.
 */
export class NodeQueue implements Turns {
  private readonly folder: string;
  private readonly user: Pick<LockUser, 'node'>;
  private readonly tickets: Tickets;

  /** @param mark of the build and the store: only calls of the same serve each other */
  constructor(dataDir: string, user: Pick<LockUser, 'node'>, mark: string) {
    this.folder = join(dataDir, 'cluster-queue');
    this.user = user;
    this.tickets = new Tickets(this.folder, user.node.native, mark);
  }

  async serve(
    steps: readonly Step[],
    work: Work,
    around: Around = (_, inner) => inner(),
  ): Promise<readonly PromiseSettledResult<void>[]> {
    const [first] = steps;
    if (first === undefined || steps.every(({ isLook }) => isLook)) {
      return work(steps);
    }
    const { caller } = first;
    using ticket = this.post(steps);
    const deadline = caller.now() + LONGEST_MS[steps.every(({ isRelease }) => isRelease) ? 'release' : 'other'];
    for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      const outcome = this.tryTurn();
      if (outcome === 'none') {
        ticket?.[Symbol.dispose](); // nobody else serves it meanwhile
        return await work(steps);
      }
      using turn = outcome;
      const answered = ticket?.answer();
      if (answered !== undefined) {
        return settle(steps, answered);
      }
      if (turn !== undefined) {
        return await around(steps, () => this.serveAll(steps, ticket, caller, work));
      }
      // While another serves the ticket, it must not be served twice at the same time.
      if (caller.now() >= deadline && ticket?.withdraw() !== false) {
        return await work(steps);
      }
      await caller.sleep(Math.ceil(Math.random() * pauseMs));
    }
  }

  private async serveAll(
    steps: readonly Step[],
    ticket: Ticket | undefined,
    caller: Caller,
    work: Work,
  ): Promise<readonly PromiseSettledResult<void>[]> {
    ticket?.[Symbol.dispose]();
    const others = this.tickets.take(MOST_STEPS - steps.length).map((taken) => joining(taken, caller));
    const outcomes = await work([...steps, ...others.flatMap((one) => one.steps)]);
    let at = steps.length;
    for (const { steps: own, answer } of others) {
      answer(outcomes.slice(at, at + own.length));
      at += own.length;
    }
    return outcomes.slice(0, steps.length);
  }

  /** Steps that only this process can plan are served by it alone. */
  private post(steps: readonly Step[]): Ticket | undefined {
    const wanted = steps.flatMap(({ networkName, asked, isRelease, wish }): readonly Wanted[] =>
      wish === undefined ? [] : [{ networkName, asked, isRelease, wish }],
    );
    try {
      makeFolder(this.folder, { sync: false });
      return wanted.length < steps.length ? undefined : this.tickets.post(wanted);
    } catch {
      return undefined;
    }
  }

  /** @returns `none` where there are no turns: the disk is full, or has no locks */
  private tryTurn(): FileLock | 'none' | undefined {
    try {
      return FileLock.tryAcquire(this.user, join(this.folder, TURN));
    } catch {
      return 'none';
    }
  }
}

/** What another process wants, in this one. */
function joining({ wanted, answer }: Taken, caller: Caller) {
  const answers: unknown[] = [];
  const steps = wanted.map(
    ({ wish, ...rest }, at): Step => ({
      ...rest,
      caller,
      isLook: false,
      plan: (pools) => {
        const plan = planWish(wish, pools);
        answers[at] = plan.answer;
        return plan.changes;
      },
    }),
  );
  const outcomeOf = (outcome: PromiseSettledResult<void>, at: number): Outcome =>
    outcome.status === 'fulfilled' ? { status: 'fulfilled', value: answers[at] } : outcome;
  return { steps, answer: (outcomes: readonly PromiseSettledResult<void>[]) => answer(outcomes.map(outcomeOf)) };
}

function settle(steps: readonly Step[], outcomes: readonly Outcome[]): readonly PromiseSettledResult<void>[] {
  return steps.map((step, at): PromiseSettledResult<void> => {
    const outcome = outcomes[at];
    if (outcome === undefined || outcome.status === 'rejected') {
      return outcome ?? { status: 'rejected', reason: new Error('a ticket was answered in part') };
    }
    step.settle?.(outcome.value);
    return { status: 'fulfilled', value: undefined };
  });
}
