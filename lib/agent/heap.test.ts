import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { boundOldGeneration } from './heap.ts';

const MODULE = join(import.meta.dirname, 'heap.ts');

/** What the young generation grows to in work whose objects survive for a while, in MB. */
function grown(prelude: string): number {
  const work = `
    ${prelude}
    import { getHeapSpaceStatistics } from 'node:v8';
    const size = () => getHeapSpaceStatistics().find((one) => one.space_name === 'new_space').space_size;
    const live = new Map();
    let largest = 0;
    for (let round = 0; round < 1500; round++) {
      live.set(round % 50, Array.from({ length: 2000 }, (_, at) => ({ at: String(at), more: [round, at] })));
      largest = Math.max(largest, size());
    }
    console.log(largest);`;
  return Number(execFileSync(process.execPath, ['--input-type=module', '-e', work], { encoding: 'utf8' })) / 2 ** 20;
}

describe('the young generation', () => {
  it('stays at about 8 MB, which it would not by itself', () => {
    const free = [1, 2, 3].map(() => grown('')); // V8 is in no hurry on a busy machine
    expect(Math.max(...free)).toBeGreaterThan(24);
    const bound = grown(`import { boundYoungGeneration } from ${JSON.stringify(MODULE)}; boundYoungGeneration();`);
    expect(bound).toBeGreaterThan(2);
    expect(bound).toBeLessThanOrEqual(16);
  });
});

describe('the old generation', () => {
  it('may grow further from when a call has to wait until no call is left', () => {
    const said: number[] = [];
    const crowd = boundOldGeneration((percent) => said.push(percent));
    crowd.came(false);
    crowd.left();
    expect(said).toEqual([25]);
    crowd.came(false);
    crowd.came(true);
    crowd.came(true);
    crowd.left();
    crowd.left();
    expect(said).toEqual([25, 75]);
    crowd.left();
    crowd.came(false);
    expect(said).toEqual([25, 75, 25]);
  });
});
