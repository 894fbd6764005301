import { describe, expect, it } from 'vitest';
import { nextTime, parseCron } from './cron.ts';

const next = (expression: string, after: string): string | undefined => {
  const time = nextTime(parseCron(expression), Date.parse(after));
  return time === undefined ? undefined : new Date(time).toISOString().slice(0, 16);
};

describe('nextTime', () => {
  it.each([
    ['30 4 * * *', '2026-01-02T04:29:59Z', '2026-01-02T04:30'],
    ['30 4 * * *', '2026-01-02T04:30:00Z', '2026-01-03T04:30'],
    ['15 */6 * * *', '2026-01-02T06:16:00Z', '2026-01-02T12:15'],
    ['*/20 9-10,22 * * *', '2026-01-02T10:41:00Z', '2026-01-02T22:00'],
    ['0 0 1 * *', '2026-12-31T23:59:59Z', '2027-01-01T00:00'],
    ['0 0 29 2 *', '2026-01-01T00:00:00Z', '2028-02-29T00:00'],
    ['0 0 * * mon', '2026-01-01T00:00:00Z', '2026-01-05T00:00'],
    ['0 0 * * 7', '2026-01-01T00:00:00Z', '2026-01-04T00:00'],
    ['0 0 13 * fri', '2026-01-03T00:00:00Z', '2026-01-09T00:00'],
    ['5/20 * * jan *', '2026-01-01T00:46:00Z', '2026-01-01T01:05'],
  ])('of "%s" after %s is %s', (expression, after, expected) => {
    expect(next(expression, after)).toBe(expected);
  });

  it('is undefined for a day that does not come', () => {
    expect(next('0 0 30 2 *', '2026-01-01T00:00:00Z')).toBeUndefined();
  });
});

describe('parseCron', () => {
  it.each([
    '',
    '* * * *',
    '* * * * * *',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * * 13 *',
    '* * * * 8',
    '5-1 * * * *',
    '*/0 * * * *',
    'x * * * *',
    '1,,2 * * * *',
  ])('refuses "%s"', (text) => {
    expect(() => parseCron(text)).toThrow(/is not a/);
  });
});
