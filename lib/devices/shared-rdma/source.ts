import { removeStaleSpecs } from '../cdi.ts';
import { fullName } from '../names.ts';
import type { Held, Looked, NodeNow, Source } from '../source.ts';
import { readSharedConfig, type SharedConfig } from './config.ts';
import { cdiNameOf, SHARED_CDI_FILES, type SharedOptions, SharedRdma } from './resource.ts';

interface Offered {
  readonly shared: SharedRdma;
  /** as configured */
  readonly text: string;
}

/** Shared RDMA resources. */
export class SharedRdmaSource implements Source {
  readonly file: string;
  readonly demand?: NonNullable<Source['demand']>;
  private readonly options: SharedOptions;
  private config: SharedConfig = { resources: [], lookEveryMs: 0 };
  private offered: ReadonlyMap<string, Offered> = new Map();
  /** configured no more, but containers have places of them */
  private lasting: ReadonlyMap<string, Offered> = new Map();
  /** interfaces that have been set up */
  private readonly setUp = new Set<string>();
  private isClean = false;

  constructor(file: string, { demand, ...options }: SharedOptions & Pick<Source, 'demand'>) {
    this.file = file;
    this.options = options;
    if (demand !== undefined) {
      this.demand = demand;
    }
  }

  configure(content: string): void {
    this.config = readSharedConfig(content);
  }

  look({ devices, held: all, kernel, now }: NodeNow): Looked {
    const againMs: number[] = [];
    const offered = this.config.resources.map((resource): [string, Offered] => {
      const name = fullName(resource);
      const text = JSON.stringify(resource);
      const before = this.offered.get(name);
      const held = all.get(name) ?? new Set();
      const isKept = before?.text === text;
      if (!isKept) {
        before?.shared.forget(held);
      }
      const shared = isKept ? before.shared : new SharedRdma(resource, devices, this.options);
      againMs.push(shared.update(devices, { held, kernel, now }));
      return [name, { shared, text }];
    });
    const before = this.offered;
    this.offered = new Map(offered);
    this.tellRuntime(before, all);
    const resources = offered.map(([, { shared }]) => shared);
    const toSetUp = new Set(resources.flatMap(({ netdevs }) => netdevs))
      .values()
      .filter((name) => !this.setUp.has(name));
    const fresh = [...toSetUp];
    for (const name of fresh) {
      this.setUp.add(name);
    }
    // The kernel tells of devices; what it does not tell, as of files in /dev, is seen by looking.
    const everyMs = this.config.lookEveryMs || Number.POSITIVE_INFINITY;
    return { resources, againMs: Math.min(everyMs, ...againMs), toSetUp: fresh };
  }

  end(held: Held | undefined): void {
    // what the runtime has been told stays: containers are started again meanwhile
    for (const [name, { shared }] of held === undefined ? [] : this.offered) {
      shared.forget(held?.get(name) ?? new Set());
    }
  }

  /**
   * A device may belong to several resources: the first tells of it. Of a resource that is configured no more the runtime
   * still knows while a container has a place of it, which may be started again.
   */
  private tellRuntime(before: ReadonlyMap<string, Offered>, held: Held): void {
    const others = [...this.lasting, ...before].filter(([name]) => !this.offered.has(name));
    for (const [, { shared }] of others.filter(([name]) => !held.has(name))) {
      shared.forget(new Set());
      shared.end();
    }
    this.lasting = new Map(others.filter(([name]) => held.has(name)));
    const told = new Set<string>();
    for (const { shared } of [...this.offered.values(), ...this.lasting.values()]) {
      for (const id of shared.writeCdi(told)) {
        told.add(id);
      }
    }
    if (!this.isClean) {
      const names = new Set(this.config.resources.map(({ name }) => cdiNameOf(name)));
      removeStaleSpecs(this.options.root, SHARED_CDI_FILES, (name) => names.has(name));
      this.isClean = true;
    }
  }
}
