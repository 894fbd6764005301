import type { Scope } from '../../lib/cni/scope.ts';
import type { Ip } from '../../lib/net/ip.ts';
import { Joiner } from '../../lib/sys/joiner.ts';
import type { Slot } from '../../lib/sys/shared.ts';
import type { ClusterStore } from './cluster/store.ts';
import { EmbeddedStore } from './embedded/store.ts';
import type { Asked, Step, Store } from './engine.ts';
import { poolKey } from './names.ts';
import type { ClusterPlace, StorePlace } from './place.ts';
import { findHeld, type Plan, planCollection, planRelease, planReservation, type Reservation } from './plan.ts';
import { type AttachmentId, type Held, type Pool, type Pools, poolsOf } from './pool.ts';
import type { ConfiguredRange } from './ranges.ts';
import { withSlices } from './sliced.ts';

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

  /** What the attachment holds. @param ranges as of `release` */
  held(attachment: AttachmentId, ranges?: readonly ConfiguredRange[]): Promise<readonly Held[]>;

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

  /** @throws CniError when a reservation in the ranges could not be made now */
  probe(ranges?: readonly ConfiguredRange[]): Promise<void>;

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
interface Open {
  readonly store: Store;
  readonly joiner: Joiner<Step, void>;
}

/** By place: networks of one place share a store. */
class Stores implements Disposable {
  private readonly stores = new Map<string, Open>();

  at(place: StorePlace, scope: Scope): Open {
    const key = JSON.stringify({ ...place, networkName: '', slices: undefined });
    const open = this.stores.get(key) ?? makeOpen(place, scope);
    this.stores.set(key, open);
    return open;
  }

  [Symbol.dispose](): void {
    for (const { store } of this.stores.values()) {
      store[Symbol.dispose]();
    }
  }
}

const STORES: Slot<Stores> = { make: () => new Stores() };

export const openDatastore = (place: StorePlace, scope: Scope): Datastore =>
  datastoreOn(scope.node.shared(STORES).at(place, scope), place, scope);

/** A datastore of this store, for one call. */
export function datastoreOn({ store, joiner }: Open, place: StorePlace, scope: Scope): Datastore {
  // Others may be served with it: that its call is to end does not end them.
  const known = { caller: scope.unending, networkName: place.networkName };
  const ask = <T>(step: Omit<Question<T>, keyof typeof known>): Promise<T> =>
    answerOf({ ...step, ...known }, (one) => scope.span('store', () => scope.join(joiner, one)));
  const look = <T>(question: (pools: Pools) => T): Promise<T> =>
    ask({ ...EVERYTHING, plan: (pools) => ({ changes: [], answer: question(pools) }) });
  const datastore: Datastore = {
    reserve: (request) => {
      const { owner, protectOverlaps } = request;
      const asked = { ranges: namesOf(request.ranges), owners: [owner], protectOverlaps };
      return ask({ asked, isLook: false, isRelease: false, plan: (pools) => planReservation(request, pools) });
    },
    release: (attachment, ranges) => {
      const asked = lookingFor(attachment, ranges === undefined ? 'held' : namesOf(ranges));
      return ask({ asked, isLook: false, isRelease: true, plan: (pools) => planRelease(attachment, pools) });
    },
    held: (attachment, ranges) => {
      const asked = lookingFor(attachment, ranges === undefined ? 'held' : namesOf(ranges));
      const plan = (pools: Pools) => ({ changes: [], answer: planRelease(attachment, pools).answer });
      return ask({ asked, isLook: true, isRelease: false, plan });
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
    probe: () => store.probe(known.caller, () => look((pools) => pools.verify(false))),
  };
  const slices = store.slices?.bind(store);
  return slices !== undefined && place.kind === 'kubernetes' && place.slices !== undefined
    ? withSlices(datastore, () => slices(place, known.caller))
    : datastore;
}

function makeOpen(place: StorePlace, scope: Scope): Open {
  const store = place.kind === 'file' ? new EmbeddedStore(place.dataDir, scope.node) : clusterStore(place, scope);
  return opened(store);
}

/** Whoever waits for the store is served with others. */
export const opened = (store: Store): Open => ({
  store,
  joiner: new Joiner((steps) => measured(steps, () => store.serve(steps)), MOST_STEPS),
});

/** Its modules, and those of its client, are loaded by the first call that needs a cluster. */
function clusterStore(place: ClusterPlace, scope: Scope): Store {
  let opening: Promise<ClusterStore> | undefined;
  const open = (): Promise<ClusterStore> => {
    opening ??= import('./cluster/store.ts').then(({ openClusterStore }) => openClusterStore(place, scope.unending));
    return opening;
  };
  return {
    serve: async (steps) => (await open()).serve(steps),
    probe: async (caller) => (await open()).probe(caller),
    slices: async (where, caller) => (await open()).slices(where, caller),
    [Symbol.dispose]: () => void opening?.then((store) => store[Symbol.dispose]()),
  };
}

/** The first of those that are served together stands for all. */
const measured = <T>(steps: readonly Step[], work: () => Promise<T>): Promise<T> =>
  steps[0]?.caller.span('store transaction', work) ?? work();

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

const namesOf = (ranges: readonly ConfiguredRange[]): readonly string[] => ranges.map(poolKey);
