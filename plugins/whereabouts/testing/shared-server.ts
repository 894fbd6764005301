import { type Engine, type Loaded, OutcomeUnknown } from '../engine.ts';
import { LoadedPools } from '../loaded-pools.ts';
import type { Change, Held, Pools } from '../pool.ts';

/** What goes wrong with a commit: asked before each. */
export type Mishap = 'none' | 'lost answer' | 'lost request';

export interface ServerOptions {
  readonly mishap?: () => Mishap;
  /** how many turns of the event loop an answer takes: answers overtake each other */
  readonly delay?: () => number;
}

/** Pools that many clients change at once, as an API server keeps them: each has a version, and nothing is locked. */
export class SharedServer {
  private readonly options: ServerOptions;
  private readonly pools = new Map<string, { version: number; held: Map<string, Held> }>();
  conflicts = 0;
  readonly loads: (readonly string[] | 'held' | 'all')[] = [];

  constructor(options: ServerOptions = {}) {
    this.options = options;
  }

  get held(): readonly Held[] {
    return [...this.pools.values()].flatMap(({ held }) => [...held.values()]);
  }

  engine(): Engine {
    return {
      load: async (steps) => {
        await this.turns();
        const asked = steps.map((step) => step.asked.ranges);
        this.loads.push(...asked);
        const ranges = asked.every((one) => typeof one !== 'string')
          ? [...new Set(asked.flatMap((one) => one as readonly string[]))]
          : [...this.pools.keys()];
        return this.loaded(ranges);
      },
    };
  }

  private loaded(ranges: readonly string[]): Loaded {
    const versions = new Map(ranges.map((range) => [range, this.pools.get(range)?.version ?? 0]));
    const pools = new LoadedPools(ranges.flatMap((range) => [...(this.pools.get(range)?.held.values() ?? [])]));
    const staged: Change[] = [];
    return {
      pools: (): Pools => pools,
      stage: (_step, changes) => {
        pools.apply(changes);
        staged.push(...changes);
      },
      commit: async () => {
        const mishap = this.options.mishap?.() ?? 'none';
        await this.turns();
        const isStale = ranges.some((range) => (this.pools.get(range)?.version ?? 0) !== versions.get(range));
        if (isStale) {
          this.conflicts++;
          return 'conflict';
        }
        if (mishap !== 'lost request') {
          for (const change of staged) {
            this.carryOut(change);
          }
        }
        await this.turns();
        if (mishap !== 'none') {
          throw new OutcomeUnknown('the connection was reset');
        }
        return 'done';
      },
      [Symbol.asyncDispose]: async () => {},
    };
  }

  private carryOut({ op, range, ip, entry }: Change): void {
    const pool = this.pools.get(range) ?? { version: 0, held: new Map<string, Held>() };
    this.pools.set(range, pool);
    pool.version++;
    if (op === 'remove') {
      pool.held.delete(String(ip.value));
    } else {
      pool.held.set(String(ip.value), { range, ip, entry });
    }
  }

  private async turns(): Promise<void> {
    for (let left = this.options.delay?.() ?? 0; left > 0; left--) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
