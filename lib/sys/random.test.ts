import { describe, expect, it } from 'vitest';
import { randomBytes, readAhead } from './random.ts';

describe('randomBytes', () => {
  it.each([
    ['one by one', () => undefined],
    ['read ahead', readAhead],
  ])('gives nothing twice, in the length that is asked for: %s', (_, prepare) => {
    prepare();
    const lengths = [6, 16, 5000, 4096, 7];
    const given = Array.from({ length: 3000 }, (__, index) => randomBytes(lengths[index % lengths.length] ?? 6));
    expect(given.every((bytes, index) => bytes.length === lengths[index % lengths.length])).toBe(true);
    const starts = given.map((bytes) => bytes.toString('hex', 0, 6));
    expect(new Set(starts).size).toBe(starts.length);
  });

  it('leaves what it has given alone', () => {
    readAhead();
    const first = randomBytes(6);
    const copy = first.toString('hex');
    randomBytes(6).fill(0);
    expect(first.toString('hex')).toBe(copy);
    expect(randomBytes(6).equals(Buffer.alloc(6))).toBe(false);
  });
});
