import { withPrefix } from '../../../lib/cni/errors.ts';
import type { KubeApi } from '../../../lib/kube/api.ts';
import { type AskingOwner, type Caller, type Engine, isReserving, type Loaded, type Step } from '../engine.ts';
import type { Entry } from '../pool.ts';
import type { Try } from './context.ts';
import { findReservations } from './find-reservations.ts';
import { attachmentKey, type Deleted, type Journal, type JournalRow } from './journal.ts';
import { type LoadedPool, loadPools } from './load-pools.ts';
import { mapEntries, type Stored } from './pool-entries.ts';
import { PoolState } from './pool-state.ts';
import { Progress } from './progress.ts';
import type { Recents } from './recent.ts';
import { Requests } from './requests.ts';
import type { StoredPool } from './stored-pool.ts';
import { Transaction } from './transaction.ts';

export interface EngineParts {
  /** opened when something is asked of it */
  readonly open: () => Promise<KubeApi>;
  readonly journal: Journal;
  readonly recents: Recents;
  /** A pool is changed only if nobody has changed anything of it. */
  readonly isStrict: boolean;
}

/** Time to take back what failed, whatever the transaction itself has used up. */
const LAST_MS = 10_000;
const LAST_SILENCE_MS = 3000;

/** The Go plugin's words, by which other software knows that the kubeconfig is at fault. */
const CANNOT_ADD = 'failed to create Kubernetes IPAM manager';
const CANNOT_BEGIN = 'IPAM client initialization error';

/**
 * The store of a cluster: the Go plugin's own objects behind an API server. Nothing is locked; what a transaction does is
 * refused when somebody was faster, and then it is planned again with what that taught.
 */
export class KubernetesEngine implements Engine {
  private readonly parts: EngineParts;

  constructor(parts: EngineParts) {
    this.parts = parts;
  }

  async load(steps: readonly Step[], before?: Loaded): Promise<Loaded> {
    const { open, journal, recents, isStrict } = this.parts;
    const caller = callerOf(steps);
    const progress = before instanceof Transaction ? before.one.progress : new Progress(steps, caller, recents);
    if (before !== undefined && progress.foreign.isContended) {
      recents('contended').remember();
    }
    const api = await open().catch((error: unknown) => {
      throw withPrefix(steps.some(isReserving) ? CANNOT_ADD : CANNOT_BEGIN, error);
    });
    const requests = new Requests(api, caller, progress.patience);
    const remembered = await rememberedFor(steps, journal);
    if (before === undefined) {
      progress.deletions = await deletionsOf(steps, journal);
    }
    const loaded =
      before instanceof Transaction && before.arePoolsFresh
        ? before.loaded
        : await loadPools(steps, { progress, requests, remembered, isStrict, go: recents('go') });
    const one: Try = {
      states: statesOf(loaded.pools, [...progress.intended, ...remembered], confsFor(steps, remembered)),
      progress,
      requests,
      slow: recents('slow'),
      now: caller.now,
      lastRequests: () => new Requests(api, caller, { deadline: caller.now() + LAST_MS, silenceMs: LAST_SILENCE_MS }),
      journal,
      remembered,
      isStrict,
      log: caller.log,
    };
    await findReservations(one, steps);
    return new Transaction(one, loaded);
  }
}

function callerOf([first]: readonly Step[]): Caller {
  if (first === undefined) {
    throw new TypeError('a transaction has at least one step');
  }
  return first.caller;
}

/** What collects speaks of attachments by the names of their configurations, which only the journal has. */
async function rememberedFor(steps: readonly Step[], journal: Journal): Promise<readonly JournalRow[]> {
  const networks = Map.groupBy(steps, ({ networkName }) => networkName);
  const rows = await Promise.all(
    [...networks].map(([networkName, own]) =>
      own.some(isCollecting) ? journal.all(networkName) : journal.rowsOf(networkName, ownersOf(own)),
    ),
  );
  return rows.flat();
}

const isCollecting = ({ isRelease, asked }: Step): boolean => isRelease && asked.owners.length === 0;

async function deletionsOf(steps: readonly Step[], journal: Journal): Promise<ReadonlyMap<string, Deleted>> {
  const networks = Map.groupBy(steps.filter(isReserving), ({ networkName }) => networkName);
  const all = await Promise.all([...networks].map(([name, own]) => journal.deletions(name, ownersOf(own))));
  return new Map(all.flatMap((deletions) => [...deletions]));
}

const ownersOf = (steps: readonly Step[]): readonly AskingOwner[] => steps.flatMap(({ asked }) => asked.owners);

function statesOf(
  pools: readonly LoadedPool[],
  rows: readonly JournalRow[],
  confs: ReadonlyMap<string, string>,
): Try['states'] {
  const states = new Map<string, Map<string, PoolState>>();
  for (const { networkName, pool } of pools) {
    const own = states.get(networkName) ?? new Map<string, PoolState>();
    const known = withInterfaces(
      pool,
      rows.filter((row) => row.networkName === networkName && row.range === pool.range),
    );
    states.set(networkName, own.set(pool.range, new PoolState(withConfs(known, confs))));
  }
  return states;
}

/** An old CRD drops the names of interfaces: of what this node has reserved, the journal has them. */
function withInterfaces(pool: StoredPool, rows: readonly JournalRow[]): StoredPool {
  const interfaces = new Map(rows.map(({ key, id, ifname }) => [`${key} ${id}`, ifname]));
  const ifnameOf = ({ key, raw }: Stored): string | undefined =>
    raw.ifname === undefined ? interfaces.get(`${key} ${raw.id}`) : undefined;
  return interfaces.size === 0 ? pool : withEntries(pool, ifnameOf, (entry, ifname) => ({ ...entry, ifname }));
}

/** What collects asks whose configuration an attachment is of: only this node's are known. */
const confsFor = (steps: readonly Step[], rows: readonly JournalRow[]): ReadonlyMap<string, string> =>
  new Map(steps.some(isCollecting) ? rows.map((row) => [attachmentKey(row), row.conf]) : []);

const withConfs = (pool: StoredPool, confs: ReadonlyMap<string, string>): StoredPool =>
  confs.size === 0
    ? pool
    : withEntries(
        pool,
        ({ held }) => confs.get(attachmentKey(held.entry)),
        (entry, network) => ({ ...entry, network }),
      );

const withEntries = (
  pool: StoredPool,
  find: (stored: Stored) => string | undefined,
  change: (entry: Entry, found: string) => Entry,
): StoredPool => ({
  ...pool,
  entries: mapEntries(pool.entries, (one) => {
    const found = find(one);
    return found === undefined ? one : { ...one, held: { ...one.held, entry: change(one.held.entry, found) } };
  }),
});
