/** Tests that give cases to our plugin and to Go's. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Difference } from '../contract/difference.ts';
import { DIFFERENCES, explanationOf } from '../contract/differences.ts';
import { Bench, type Case, describeDeviation } from './compare.ts';

/** Few, since each keeps two calls going. */
const WIDTH = 3;

/** Benches that tests take turns on, and the intended differences that were met. */
export class Comparing {
  private readonly free: Bench[] = [];
  private readonly waiting: ((bench: Bench) => void)[] = [];
  private readonly met = new Set<Difference>();

  constructor() {
    beforeAll(async () => {
      this.free.push(...(await Promise.all(Array.from({ length: WIDTH }, () => Bench.open()))));
    });
    afterAll(async () => {
      await Promise.all(this.free.map((bench) => bench[Symbol.asyncDispose]()));
    });
  }

  /** One test a case: what differs must be an intended difference. */
  cases(title: string, cases: readonly Case[]): void {
    describe.concurrent(title, () => {
      for (const one of cases) {
        it(one.title, () => this.compare(one));
      }
    });
  }

  /** The list must say what happens, and say no more than that. Comes after the cases. */
  differences(plugin: string): void {
    const own = DIFFERENCES.filter((difference) =>
      [plugin, ...(plugin === 'macvlan' ? ['all'] : [])].includes(difference.plugin),
    );
    describe('an intended difference', () => {
      for (const difference of own.filter(({ covers }) => covers !== undefined)) {
        it(`is met: ${difference.plugin} ${difference.id}: ${difference.ours}`, () => {
          expect([...this.met].map(({ id, ours }) => [id, ours])).toContainEqual([difference.id, difference.ours]);
        });
      }
    });
  }

  private async compare(one: Case): Promise<void> {
    const bench = this.free.pop() ?? (await new Promise<Bench>((resolve) => this.waiting.push(resolve)));
    try {
      const { deviations, faults } = await bench.compare(one);
      const unexplained = deviations.filter((deviation) => {
        const difference = explanationOf(deviation);
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
