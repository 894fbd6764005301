import { describe, expect, it } from 'vitest';
import { ContentionMeter } from './contention.ts';

describe('ContentionMeter', () => {
  it('is high for a while after an exchange that took long', () => {
    let now = 1000;
    const contention = new ContentionMeter(() => now);
    contention.report(now - 19, { isSlow: false, requests: 1 });
    contention.report(now - 80, { isSlow: false, requests: 64 });
    contention.report(now - 100, { isSlow: true, requests: 1 });
    expect(contention.isHigh).toBe(false);
    contention.report(now - 21, { isSlow: false, requests: 1 });
    expect(contention.isHigh).toBe(true);
    now += 499;
    expect(contention.isHigh).toBe(true);
    now += 1;
    expect(contention.isHigh).toBe(false);
  });
});
