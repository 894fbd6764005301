import type { Scope } from '../../lib/cni/scope.ts';
import { formatCidr } from '../../lib/net/cidr.ts';
import type { Ip } from '../../lib/net/ip.ts';
import type { Node } from '../../lib/node/node.ts';
import { Joiner } from '../../lib/sys/joiner.ts';
import type { Slot } from '../../lib/sys/shared.ts';
import { EmbeddedEngine, isDamage, isNoRoom } from './embedded/engine.ts';
import type { Asked, Step } from './engine.ts';
import type { StorePlace } from './place.ts';
import { findHeld, type Plan, planCollection, planRelease, planReservation, type Reservation } from './plan.ts';
import { type AttachmentId, type Held, type Pool, type Pools, poolsOf } from './pool.ts';
import type { ConfiguredRange } from './ranges.ts';
import { transact } from './transact.ts';

/** Where the reservations of one network are kept. Every answer is durable when it is given. */
export interface Datastore {
  /**
   * One address of every range, in their order; all or none.
   *
   * @throws CniError internal when a range is exhausted; tryAgainLater, ioFailure
   */
  reserve(request: Reservation): Promise<readonly Ip[]>;

  /**
   * Frees all that the attachment holds; nothing held is no failure.
   *
   * @param ranges where that can be; undefined when nobody knows any more
   */
  release(attachment: AttachmentId, ranges?: readonly ConfiguredRange[]): Promise<readonly Held[]>;

  /** The address that the attachment holds in each of the ranges. */
  find(attachment: AttachmentId, ranges: readonly ConfiguredRange[]): Promise<readonly (Ip | undefined)[]>;

  /** Frees what attachments of the network hold in the ranges, except those that are valid. */
  collect(
    network: string,
    ranges: readonly ConfiguredRange[],
    valid: readonly AttachmentId[],
  ): Promise<readonly Held[]>;

  /** All that is held, by range: for people. */
  pools(): Promise<readonly Pool[]>;

  /** Names of all networks that are kept in the same place. */
  networks(): Promise<readonly string[]>;

  /** Carries out a plan that only takes away, of whatever is in the network. */
  free<T>(plan: (pools: Pools) => Plan<T>): Promise<T>;

  /** Carries out a plan that adds to the ranges. */
  add<T>(ranges: readonly string[], plan: (pools: Pools) => Plan<T>): Promise<T>;

  /** @throws CniError when a reservation could not be made now */
  probe(): Promise<void>;

  /**
   * Looks at every row of the store.
   *
   * @throws CniError when it is not what was written
   */
  inspect(): Promise<void>;
}

const EVERYTHING = {
  asked: { ranges: 'all', owners: [], protectOverlaps: false },
  isLook: true,
  isRelease: false,
} as const;

/** What is done for one transaction keeps the event loop waiting. */
const MOST_STEPS = 128;

/** One store of this process, and who waits for it. */
interface Store {
  readonly engine: EmbeddedEngine;
  readonly joiner: Joiner<Step, void>;
}

/** By folder. */
class Stores implements Disposable {
  private readonly stores = new Map<string, Store>();

  at({ dataDir }: StorePlace, node: Node): Store {
    const store = this.stores.get(dataDir) ?? makeStore(dataDir, node);
    this.stores.set(dataDir, store);
    return store;
  }

  [Symbol.dispose](): void {
    for (const { engine } of this.stores.values()) {
      engine[Symbol.dispose]();
    }
  }
}

const STORES: Slot<Stores> = { make: () => new Stores() };

export function openDatastore(place: StorePlace, scope: Scope): Datastore {
  const store = scope.node.shared(STORES).at(place, scope.node);
  // Others may be served with it: that its call is to end does not end them.
  const known = { caller: scope.unending, networkName: place.networkName };
  const ask = <T>(step: Omit<Question<T>, keyof typeof known>): Promise<T> =>
    answerOf({ ...step, ...known }, (one) => scope.span('store', () => scope.join(store.joiner, one)));
  const look = <T>(question: (pools: Pools) => T): Promise<T> =>
    ask({ ...EVERYTHING, plan: (pools) => ({ changes: [], answer: question(pools) }) });
  return {
    reserve: (request) => {
      const { owner, protectOverlaps } = request;
      const asked = { ranges: namesOf(request.ranges), owners: [owner], protectOverlaps };
      return ask({ asked, isLook: false, isRelease: false, plan: (pools) => planReservation(request, pools) });
    },
    release: (attachment, ranges) => {
      const asked = lookingFor(attachment, ranges === undefined ? 'held' : namesOf(ranges));
      return ask({ asked, isLook: false, isRelease: true, plan: (pools) => planRelease(attachment, pools) });
    },
    find: (attachment, ranges) => {
      const asked = lookingFor(attachment, namesOf(ranges));
      const plan = (pools: Pools) => ({ changes: [], answer: findHeld(attachment, ranges, pools) });
      return ask({ asked, isLook: true, isRelease: false, plan });
    },
    collect: (network, ranges, valid) => {
      const asked = { ranges: namesOf(ranges), owners: [], protectOverlaps: false };
      const plan = (pools: Pools) => planCollection(network, ranges, valid, pools);
      return ask({ asked, isLook: false, isRelease: true, plan });
    },
    pools: async () => poolsOf(await look((pools) => pools.all())),
    networks: () => look((pools) => pools.networks()),
    free: (plan) => ask({ ...EVERYTHING, isLook: false, isRelease: true, plan }),
    add: (ranges, plan) => {
      const asked = { ranges, owners: [], protectOverlaps: true };
      return ask({ asked, isLook: false, isRelease: false, plan });
    },
    inspect: () => look((pools) => pools.verify(true)),
    probe: async () => {
      store.engine.probe();
      await look((pools) => pools.verify(false));
    },
  };
}

function makeStore(dataDir: string, node: Node): Store {
  const engine = new EmbeddedEngine(dataDir, node.openDatabase, () => node.native);
  return { engine, joiner: new Joiner((steps) => measured(steps, () => serve(engine, steps)), MOST_STEPS) };
}

/** The first of those that are served together stands for all. */
const measured = <T>(steps: readonly Step[], work: () => Promise<T>): Promise<T> =>
  steps[0]?.caller.span('store transaction', work) ?? work();

/** Together if that works, else one by one: a full disk or a damaged row that one meets is no reason to fail another. */
async function serve(engine: EmbeddedEngine, steps: readonly Step[]) {
  try {
    return await transact(engine, steps);
  } catch (error) {
    if (!isNoRoom(error) && !(isDamage(error) && steps.length > 1)) {
      throw error;
    }
  }
  const outcomes: PromiseSettledResult<void>[] = [];
  for (const step of steps) {
    outcomes.push(await serveAlone(engine, step));
  }
  return outcomes;
}

/** A release may use the space that is kept for it. */
async function serveAlone(engine: EmbeddedEngine, step: Step) {
  const attempt = async (): Promise<PromiseSettledResult<void>> => {
    try {
      const [outcome] = await transact(engine, [step]);
      return outcome ?? { status: 'fulfilled', value: undefined };
    } catch (reason) {
      return { status: 'rejected', reason };
    }
  };
  const outcome = await attempt();
  if (outcome.status === 'fulfilled' || !step.isRelease || !isNoRoom(outcome.reason)) {
    return outcome;
  }
  engine.makeRoom();
  const second = await attempt();
  engine.restoreRoom(step.caller);
  return second;
}

type Question<T> = Omit<Step, 'plan'> & { plan(pools: Pools): Plan<T> };

async function answerOf<T>({ plan, ...step }: Question<T>, take: (step: Step) => Promise<void>): Promise<T> {
  const answers: T[] = []; // of each try; the last one was recorded
  await take({
    ...step,
    plan: (pools) => {
      const { changes, answer } = plan(pools);
      answers.push(answer);
      return changes;
    },
  });
  return answers.at(-1) as T;
}

const lookingFor = (attachment: AttachmentId, ranges: Asked['ranges']): Asked => ({
  ranges,
  owners: [{ ...attachment, podref: '' }],
  protectOverlaps: false,
});

const namesOf = (ranges: readonly ConfiguredRange[]): readonly string[] => ranges.map(({ cidr }) => formatCidr(cidr));
