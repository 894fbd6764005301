import { describe, expect, it } from 'vitest';
import { retryAfterMs } from './answers.ts';

describe('retryAfterMs', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');

  it.each([
    ['2', 2_000],
    ['0', 0],
    ['Thu, 01 Jan 2026 00:00:03 GMT', 3_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['soon', undefined],
    ['-1s', undefined],
    [undefined, undefined],
  ])('reads %s', (text, ms) => {
    expect(retryAfterMs({ status: 429, headers: { 'retry-after': text }, body: '' }, now)).toBe(ms);
  });
});
