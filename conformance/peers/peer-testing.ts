/** Tests that give cases to our plugin and to Go's. */
import { afterAll, beforeAll, describe, expect, it, type TestOptions } from 'vitest';
import type { Difference } from '../contract/difference.ts';
import { SHARED } from '../contract/differences.ts';
import { stdinOf } from '../lab/programs.ts';
import { broughtIn } from '../lab/rooms.ts';
import { Bench, type Case, type Deviation, describeDeviation } from './compare.ts';

const ROOMS = await broughtIn<readonly Difference[]>('differences.ts', 'DIFFERENCES');

/** The differences of plugins that a configuration names, as its IPAM plugin: they run in place of Go's. */
function differencesOfNamed(conf: unknown): readonly Difference[] {
  const text = stdinOf(conf).toString();
  const isNamed = (plugin: string): boolean => new RegExp(`"type"\\s*:\\s*"${plugin}"`, 'i').test(text);
  return ROOMS.filter(({ plugin }) => isNamed(plugin)).flatMap(({ value }) => value);
}

/** Few, since each keeps two calls going. */
const WIDTH = 3;

/** Benches that tests take turns on, and the intended differences that were met. */
export class Comparing {
  private readonly free: Bench[] = [];
  private readonly waiting: ((bench: Bench) => void)[] = [];
  private readonly met = new Set<Difference>();
  private readonly plugin: string;
  private readonly known: readonly Difference[];

  /**
   * @param own the plugin's differences
   * @param others of the plugins that it runs
   */
  constructor(plugin: string, own: readonly Difference[], others: readonly Difference[] = []) {
    this.plugin = plugin;
    this.known = [...own, ...SHARED, ...others];
    beforeAll(async () => {
      this.free.push(...(await Promise.all(Array.from({ length: WIDTH }, () => Bench.open()))));
    });
    afterAll(async () => {
      await Promise.all(this.free.map((bench) => bench[Symbol.asyncDispose]()));
    });
  }

  /** One test a case: what differs must be an intended difference. */
  cases(title: string, cases: readonly Case[], options: Pick<TestOptions, 'timeout'> = {}): void {
    describe.concurrent(title, options, () => {
      for (const one of cases) {
        it(one.title, () => this.compare(one));
      }
    });
  }

  /** The list must say what happens, and say no more than that. Comes after the cases. */
  meets(differences: readonly Difference[]): void {
    describe('an intended difference', () => {
      for (const difference of differences.filter((one) => 'covers' in one)) {
        it(`is met: ${this.plugin} ${difference.id}: ${difference.ours}`, () => {
          expect([...this.met].map(({ id, ours }) => [id, ours])).toContainEqual([difference.id, difference.ours]);
        });
      }
    });
  }

  /** The intended difference that a deviation is, if any: one of the plugin itself before one of what it runs. */
  private explanationOf(deviation: Deviation): Difference | undefined {
    const known = [...this.known, ...differencesOfNamed(deviation.case.conf)];
    return known.find((difference) => 'covers' in difference && difference.covers(deviation));
  }

  private async compare(one: Case): Promise<void> {
    const bench = this.free.pop() ?? (await new Promise<Bench>((resolve) => this.waiting.push(resolve)));
    try {
      const { deviations, faults } = await bench.compare(one);
      const unexplained = deviations.filter((deviation) => {
        const difference = this.explanationOf(deviation);
        if (difference !== undefined) {
          this.met.add(difference);
        }
        return difference === undefined;
      });
      expect({ faults, deviations: unexplained.map(describeDeviation) }).toEqual({ faults: [], deviations: [] });
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) {
        this.free.push(bench);
      } else {
        next(bench);
      }
    }
  }
}
