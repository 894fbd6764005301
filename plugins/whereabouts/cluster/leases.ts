import type { KubeApi } from '../../../lib/kube/api.ts';
import { randomBytes } from '../../../lib/sys/random.ts';
import type { Step } from '../engine.ts';
import { parsePoolKey, poolName } from '../names.ts';
import type { LeaseTiming } from '../place.ts';
import { Lease } from './lease.ts';
import { patienceFor } from './progress.ts';

type Outcomes = readonly PromiseSettledResult<void>[];

/** What keeps calls of all nodes apart. */
export interface Leasing {
  /** The API server, asked for changes only while all that was taken is held. */
  open(): Promise<KubeApi>;
  /**
   * Takes what the steps need, does the work, and leaves it to others.
   *
   * @throws CniError when it could not be had; what `work` throws
   */
  during<T>(steps: readonly Step[], work: () => Promise<T>): Promise<T>;
}

/** Pools are changed by whoever wants to. */
export const withoutLeases = (open: () => Promise<KubeApi>): Leasing => ({ open, during: (_, work) => work() });

/** The Go plugin's only Lease, but for slices. */
const NAME = 'whereabouts';

/** The Go plugin's way: one call at a time has the Lease; where ranges have slices, one for each of their pools. */
export class Leases implements Leasing {
  private readonly openApi: () => Promise<KubeApi>;
  private readonly timing: LeaseTiming;
  private readonly taken = new Set<Lease>();

  constructor(open: () => Promise<KubeApi>, timing: LeaseTiming) {
    this.openApi = open;
    this.timing = timing;
  }

  async open(): Promise<KubeApi> {
    return guarded(await this.openApi(), () => this.confirm());
  }

  async during<T>(steps: readonly Step[], work: () => Promise<T>): Promise<T> {
    const changing = steps.filter(({ isLook }) => !isLook);
    const [first] = changing;
    if (first === undefined) {
      return work();
    }
    const [api, identity, { caller }] = [await this.openApi(), identityOf(first), first];
    const patience = patienceFor(changing.every(({ isRelease }) => isRelease) ? 'release' : 'other', caller);
    const own: Lease[] = [];
    const keeping = setInterval(() => own.forEach(keep), this.timing.retryMs);
    try {
      for (const name of namesFor(changing)) {
        const lease = new Lease({ ...PARTS, api, name, identity, caller, timing: this.timing });
        await lease.acquire(patience);
        own.push(lease);
        this.taken.add(lease);
      }
      return await work();
    } finally {
      clearInterval(keeping);
      for (const lease of own) {
        this.taken.delete(lease);
        await lease.release();
      }
    }
  }

  private async confirm(): Promise<void> {
    for (const lease of this.taken) {
      await lease.confirm();
    }
  }
}

const PARTS = { wallClock: Date.now, random: Math.random };

const keep = (lease: Lease): void => void lease.keep();

/** Steps that cannot be taken since somebody else has the lease fail one by one, so that a release can be made good later. */
export async function servedDuring(
  leasing: Leasing,
  steps: readonly Step[],
  work: () => Promise<Outcomes>,
): Promise<Outcomes> {
  try {
    return await leasing.during(steps, work);
  } catch (reason) {
    return steps.map(() => ({ status: 'rejected', reason }));
  }
}

/** In an order that is everybody's: so two never wait for each other. */
const namesFor = (steps: readonly Step[]): readonly string[] => [...new Set(steps.flatMap(leasesOf))].sort();

function leasesOf({ networkName, asked: { ranges } }: Step): readonly string[] {
  const keys = typeof ranges === 'string' || ranges.length === 0 ? [''] : ranges;
  return keys.map((key) => {
    const id = parsePoolKey(key);
    return id === undefined || id.node === '' ? NAME : poolName(networkName, id.cidr, id.node);
  });
}

/** Others show it to people, and tell calls apart by it: two interfaces of a pod are two. */
function identityOf({ asked: { owners } }: Step): string {
  const { podref = '', id = '' } = owners[0] ?? {};
  return [podref, id, randomBytes(4).toString('hex')].filter((part) => part !== '').join('/');
}

const guarded = (api: KubeApi, confirm: () => Promise<void>): KubeApi => ({
  namespace: api.namespace,
  get: (path) => api.get(path),
  list: (path, options) => api.list(path, options),
  create: async (path, object) => {
    await confirm();
    return api.create(path, object);
  },
  patch: async (path, patch) => {
    await confirm();
    return api.patch(path, patch);
  },
  replace: async (path, object) => {
    await confirm();
    return api.replace(path, object);
  },
  delete: async (path, preconditions) => {
    await confirm();
    return api.delete(path, preconditions);
  },
});
