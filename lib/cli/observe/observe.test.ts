import { describe, expect, it } from 'vitest';
import type { Status, ToldCall } from '../../agent/observe/status.ts';
import { busynessOf, quantile } from './busyness.ts';
import { worksOf } from './rows.ts';
import { topPicture } from './top-picture.ts';
import { tracePicture, traceSvg } from './trace-picture.ts';

const BOUNDS = [0.001, 0.01];

const status = (now: number, counts: readonly number[], more: Partial<Status> = {}): Status => ({
  now,
  version: '1',
  running: 2,
  waiting: 1,
  memory: 64 * 1024 * 1024,
  cpuSeconds: now / 10_000,
  bounds: BOUNDS,
  calls: [{ labels: { plugin: 'macvlan', verb: 'ADD' }, counts, sum: 1 }],
  steps: [
    { labels: { plugin: 'macvlan', verb: 'ADD', step: 'netlink' }, counts, sum: counts[0] ?? 0 },
    { labels: { plugin: 'macvlan', verb: 'ADD', step: 'store' }, counts: [0, 0, 0], sum: 0 },
  ],
  ...more,
});

describe('busynessOf', () => {
  it('tells what has happened between two looks', () => {
    const busy = busynessOf(status(3000, [10, 30, 0]), status(1000, [10, 10, 0]));
    expect(busy.seconds).toBe(2);
    expect(busy.cpu).toBeCloseTo(0.1);
    expect(busy.calls).toMatchObject([{ plugin: 'macvlan', verb: 'ADD', count: 20, perSecond: 10 }]);
    expect(busy.calls[0]?.p50).toBeCloseTo(5.5);
    expect(busy.steps.map(({ step }) => step)).toEqual(['netlink']);
  });

  it('tells all since the beginning of an agent that has another one before it', () => {
    const busy = busynessOf(status(3000, [1, 0, 0]), status(1000, [10, 10, 0], { cpuSeconds: 99 }));
    expect(busy).toMatchObject({ seconds: undefined, cpu: undefined });
    expect(busy.calls[0]).toMatchObject({ count: 1, perSecond: undefined });
  });
});

describe('quantile', () => {
  it.each([
    [[0, 0, 0], 0.5, undefined],
    [[10, 0, 0], 0.5, 0.5],
    [[50, 50, 0], 0.5, 1],
    [[50, 50, 0], 0.99, 9.82],
    [[0, 0, 5], 0.99, 10],
  ])('of %o at %d is %d ms', (counts, share, expected) => {
    const found = quantile(counts, BOUNDS, share);
    expect(found === undefined ? found : Number(found.toFixed(2))).toBe(expected);
  });
});

describe('topPicture', () => {
  it('shows calls, and where the time went', () => {
    expect(topPicture(busynessOf(status(3000, [10, 30, 0]), status(1000, [10, 10, 0])))).toEqual([
      'braid agent 1: 2 running, 1 waiting, 64 MiB, 10 % of a processor',
      '',
      'PLUGIN   VERB  CALLS  PER S  P50 MS  P95 MS  P99 MS',
      'macvlan  ADD   20     10.0   5.50    9.55    9.91',
      '',
      'where the time went in the last 2.0 s:',
      'STEP     PLUGIN   VERB  TIMES  P50 MS  P99 MS  IN ALL MS',
      'netlink  macvlan  ADD   20     5.50    9.91    0.00',
    ]);
  });

  it('says when there is nothing yet', () => {
    const empty = status(1, [], { calls: [], steps: [] });
    expect(topPicture(busynessOf(empty))).toEqual([
      'braid agent 1: 2 running, 1 waiting, 64 MiB',
      '',
      'no calls yet',
      '',
      'nothing was done since it started',
    ]);
  });
});

const call = (verb: string, begun: number, more: Partial<ToldCall> = {}): ToldCall => ({
  facts: { plugin: 'macvlan', verb, container: 'c1', ifName: 'net1', pod: 'shop/<web>' },
  begun,
  ms: 10,
  code: 0,
  dropped: 0,
  names: ['macvlan ADD', 'netlink', 'store', 'netlink'],
  parents: [-1, 0, 0, 0],
  starts: [0, 1, 3, 8],
  lengths: [10, 1, 4, 2],
  ...more,
});

describe('worksOf', () => {
  it('takes the last calls of each verb for the newest container, repeated ones once', () => {
    const other = { facts: { ...call('ADD', 0).facts, container: 'c0' } };
    const tuning = { facts: { ...call('ADD', 0).facts, plugin: 'tuning' } };
    const works = worksOf([
      call('ADD', 0, other),
      call('ADD', 100, { code: 11 }),
      call('ADD', 200),
      call('ADD', 220, tuning),
      call('DEL', 900),
    ]);
    expect(works.map(({ verb, calls, ms }) => [verb, calls, ms])).toEqual([
      ['ADD', 2, 30],
      ['DEL', 1, 10],
    ]);
  });
});

describe('tracePicture', () => {
  it('draws a tree, and steps of the same name in one row', () => {
    const [work] = worksOf([call('ADD', 0)]);
    expect(work && tracePicture(work, '#')).toEqual([
      'ADD for shop/<web> (c1) at 1970-01-01T00:00:00.000Z: 10.0 ms, 1 call',
      `call macvlan net1    10.0  ${'#'.repeat(48)}`,
      `  macvlan ADD        10.0  ${'#'.repeat(48)}`,
      `    netlink × 2      3.00  ${' '.repeat(4)}${'#'.repeat(6)}${' '.repeat(28)}${'#'.repeat(10)}`,
      `    store            4.00  ${' '.repeat(14)}${'#'.repeat(20)}`,
    ]);
  });

  it('tells failures, and what was not kept', () => {
    const [work] = worksOf([call('ADD', 0, { code: 11, dropped: 3, ms: 0 })]);
    const lines = work ? tracePicture(work, '#') : [];
    expect(lines[1]).toContain('call macvlan net1 (code 11)');
    expect(lines.at(-1)).toBe('and 3 parts that were not kept');
  });
});

describe('traceSvg', () => {
  it('draws the same, with names that are text only', () => {
    const svg = traceSvg(worksOf([call('ADD', 0), call('DEL', 50)]));
    expect(svg).toContain('shop/&lt;web&gt;');
    expect(svg).not.toContain('<web>');
    expect(svg.match(/<rect /g)).toHaveLength(1 + 2 * 5);
    expect(svg.endsWith('</svg>\n')).toBe(true);
  });
});
