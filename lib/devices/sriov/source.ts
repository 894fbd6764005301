import { removeStaleSpecs } from '../cdi.ts';
import { fullName } from '../names.ts';
import type { Held, Looked, Need, NodeNow, Source } from '../source.ts';
import { readSriovConfig, type SriovResource } from './config.ts';
import { CDI_FILES, type PoolOptions, SriovPool } from './resource.ts';
import { assign } from './select.ts';

const WITHHELD_LOOK_MS = 10_000;

/** SR-IOV resources: each device belongs to one. */
export class SriovSource implements Source {
  readonly file: string;
  private readonly prefix: string;
  private readonly options: PoolOptions;
  private resources: readonly SriovResource[] = [];
  private isClean = false;
  private pools: ReadonlyMap<string, SriovPool> = new Map();

  /** @param prefix of resources that name none */
  constructor(file: string, prefix: string, options: PoolOptions) {
    this.file = file;
    this.prefix = prefix;
    this.options = options;
  }

  configure(content: string): void {
    this.resources = readSriovConfig(content, this.prefix);
  }

  get needs(): ReadonlySet<Need> {
    const selectors = this.resources.flatMap((one) => one.selectors);
    return new Set([
      ...(selectors.some(({ isRdma }) => isRdma) ? (['rdma'] as const) : []),
      ...(selectors.some(({ ddpProfiles }) => ddpProfiles.length > 0) ? (['ddp'] as const) : []),
    ]);
  }

  look({ devices, held, now, kernel }: NodeNow): Looked {
    const pools = assign(this.resources, devices, held).map((pool) => {
      const name = fullName(pool.resource);
      const before = this.pools.get(name);
      const isKept = before?.isFor(pool.resource) === true;
      if (!isKept) {
        before?.end(held.get(name) ?? new Set(), false);
      }
      const known = isKept ? before : new SriovPool(pool, this.options);
      const againMs = known.update(pool, { held: held.get(name) ?? new Set(), now, kernel });
      return { name, known, againMs };
    });
    this.dropOthers(new Set(pools.map(({ name }) => name)), held);
    this.pools = new Map(pools.map(({ name, known }) => [name, known]));
    return {
      // One that has never had a device is not announced: the kubelet would keep it in the node's status.
      resources: pools.flatMap(({ known }) => (known.devices.value.length > 0 ? [known] : [])),
      againMs: Math.min(...pools.map(({ againMs }) => againMs), this.withheldMs(devices, held)),
    };
  }

  /** Nobody tells when a container ends that has a device by the name of another resource. */
  private withheldMs(devices: NodeNow['devices'], held: Held): number {
    const own = new Set(this.resources.map(fullName));
    const others = [...held].filter(([name]) => !own.has(name)).flatMap(([, ids]) => [...ids]);
    return others.some((id) => devices.some((one) => one.id === id)) ? WITHHELD_LOOK_MS : Number.POSITIVE_INFINITY;
  }

  end(held: Held | undefined): void {
    for (const [name, pool] of this.pools) {
      pool.end(held && (held.get(name) ?? new Set()), true);
    }
  }

  /** Those that are configured no more, by this run or one before. */
  private dropOthers(names: ReadonlySet<string>, held: Held): void {
    for (const [name, pool] of this.pools) {
      if (!names.has(name)) {
        pool.end(held.get(name) ?? new Set(), false);
      }
    }
    if (!this.isClean) {
      removeStaleSpecs(this.options.root, CDI_FILES, (name) => names.has(name) || held.has(name));
      this.isClean = true;
    }
  }
}
