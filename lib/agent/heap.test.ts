import { describe, expect, it } from 'vitest';
import { boundOldGeneration } from './heap.ts';

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
