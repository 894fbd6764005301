import type { Scope } from '../../lib/cni/scope.ts';
import type { Ip } from '../../lib/net/ip.ts';
import { Joiner } from '../../lib/sys/joiner.ts';
import type { Holding, Slot, Telling } from '../../lib/sys/shared.ts';
import type { ClusterStore } from './cluster/store.ts';
import { EmbeddedStore } from './embedded/store.ts';
import type { Asked, Step, Store } from './engine.ts';
import { fullnessOf } from './fullness.ts';
import { poolKey } from './names.ts';
import type { ClusterPlace, StorePlace } from './place.ts';
import { findHeld, type Plan, planCollection, planRelease, type Reservation } from './plan.ts';
import { type AttachmentId, type Held, type Pool, type Pools, poolsOf } from './pool.ts';
import type { ConfiguredRange } from './ranges.ts';
import { withSlices } from './sliced.ts';
import { planReserving } from './wish.ts';

/** Addresses that an attachment has got. */
export interface Reserved {
  readonly ips: readonly Ip[];
  /** Resolves when the record survives a power cut too; until then nothing else takes it back. */
  readonly durable: Promise<void>;
}

/** Where the reservations of one network are kept. Every other answer is durable when it is given. */
export interface Datastore {
  /**
   * One address of every range, in their order; all or none.
   *
   * @param warn is told of ranges that have few addresses left then
   * @throws CniError internal when a range is exhausted; tryAgainLater, ioFailure; so does `durable`
   */
  reserve(request: Reservation, warn?: (text: string) => void): Promise<Reserved>;

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

  /** What is to be told of ranges that have few addresses left: one phrase each. */
  fullness(ranges: readonly ConfiguredRange[], protectOverlaps: boolean): Promise<readonly string[]>;

  /** All that is held, by range: for people. */
  pools(): Promise<readonly Pool[]>;

  /** Names of all networks that are kept in the same place. */
  networks(): Promise<readonly string[]>;

  /** Carries out a plan that only takes away, of whatever is in the network. */
  free<T>(plan: (pools: Pools) => Plan<T>): Promise<T>;

  /** Carries out a plan that adds to the ranges. */
  add<T>(ranges: readonly string[], plan: (pools: Pools) => Plan<T>, addition?: Addition): Promise<T>;

  /** @throws CniError when a reservation in the ranges could not be made now */
  probe(ranges?: readonly ConfiguredRange[]): Promise<void>;

  /**
   * Looks at every row of the store.
   *
   * @throws CniError when it is not what was written
   */
  inspect(): Promise<void>;
}

/** What is added, as far as it is not what an ADD would. */
export interface Addition {
  /** attachments of this node, which it is to remember; default: none */
  readonly owners?: Asked['owners'];
  /** is it to be kept from all ranges of the network? default: yes */
  readonly protectOverlaps?: boolean;
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
class Stores implements Disposable, Telling {
  private readonly stores = new Map<string, Open>();

  at(place: StorePlace, scope: Scope): Open {
    const key = keyOf(place);
    const open = this.stores.get(key) ?? makeOpen(place, scope);
    this.stores.set(key, open);
    return open;
  }

  holdings(): readonly Holding[] {
    return [...this.stores.values()].flatMap(({ store }) => store.holdings?.() ?? []);
  }

  [Symbol.dispose](): void {
    for (const { store } of this.stores.values()) {
      store[Symbol.dispose]();
    }
  }
}

const keyOf = (place: StorePlace): string =>
  place.kind === 'file' ? place.dataDir : JSON.stringify({ ...place, networkName: '', slices: undefined });

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
    reserve: async (request, warn = () => undefined) => {
      const { owner, ranges, protectOverlaps } = request;
      const asked = { ranges: namesOf(ranges), owners: [owner], protectOverlaps };
      const wish = { kind: 'reserve', reservation: request } as const;
      const plan = (pools: Pools) => planReserving(request, pools);
      const { answer, durable } = await early<{ readonly given: readonly Ip[]; readonly few: readonly string[] }>(
        (recorded) => ask({ asked, isLook: false, isRelease: false, wish, plan, recorded }),
      );
      answer.few.forEach(warn);
      return { ips: answer.given, durable };
    },
    release: (attachment, ranges) => {
      const asked = lookingFor(attachment, ranges === undefined ? 'held' : namesOf(ranges));
      const wish = { kind: 'release', attachment } as const;
      return ask({ asked, isLook: false, isRelease: true, wish, plan: (pools) => planRelease(attachment, pools) });
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
    fullness: (ranges, protectOverlaps) => {
      const asked = { ranges: namesOf(ranges), owners: [], protectOverlaps };
      const plan = (pools: Pools) => ({ changes: [], answer: fullnessOf(ranges, protectOverlaps, pools) });
      return ask({ asked, isLook: true, isRelease: false, plan });
    },
    pools: async () => poolsOf(await look((pools) => pools.all())),
    networks: () => look((pools) => pools.networks()),
    free: (plan) => ask({ ...EVERYTHING, isLook: false, isRelease: true, plan }),
    add: (ranges, plan, { owners = [], protectOverlaps = true } = {}) => {
      const asked = { ranges, owners, protectOverlaps };
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

type Question<T> = Omit<Step, 'plan' | 'settle' | 'recorded'> & {
  plan(pools: Pools): Plan<T>;
  recorded?(answer: T): void;
};

/** What is asked answers as soon as it is recorded, if the store says so, else in the end. */
function early<T>(ask: (recorded: (answer: T) => void) => Promise<T>): Promise<{ answer: T; durable: Promise<void> }> {
  return new Promise((resolve, reject) => {
    const last = ask((answer) => resolve({ answer, durable }));
    const durable = last.then(() => undefined);
    durable.catch(() => undefined); // told by the answer, if that has not come by then
    last.then((answer) => resolve({ answer, durable }), reject);
  });
}

async function answerOf<T>({ plan, recorded, ...step }: Question<T>, take: (step: Step) => Promise<void>): Promise<T> {
  const answers: T[] = []; // of each try; the last one was recorded
  await take({
    ...step,
    settle: (answer) => answers.push(answer as T),
    ...(recorded && { recorded: () => recorded(answers.at(-1) as T) }),
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
