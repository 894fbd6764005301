import { describe, expect, it } from 'vitest';
import { parseCidr } from '../../lib/net/cidr.ts';
import { parseIp } from '../../lib/net/ip.ts';
import type { Configured } from './configured.ts';
import { storedRange } from './names.ts';
import type { Pool } from './pool.ts';
import { gridOf } from './pool-grid.ts';
import { mapOf } from './pool-map.ts';
import { svgOf } from './pool-svg.ts';
import { type PoolView, viewOf } from './pool-view.ts';
import { sizeOf, subtract, union } from './spans.ts';
import { ip } from './testing/fixtures.ts';

const PLACE = { kind: 'file', dataDir: '/d', networkName: 'blue' } as const;
const numberOf = (text: string): bigint => parseIp(text)?.value ?? 0n;

function poolWith(range: string, ...addresses: readonly string[]): Pool {
  const cidr = storedRange(range);
  const held = addresses.map((text) => ({
    range,
    ip: ip(text),
    entry: { id: text, podref: `lab/${text}`, ifname: 'net1' },
  }));
  return { range, cidr, held };
}

function configured(
  range: string,
  first: string,
  last: string,
  excluded: readonly string[],
  statics: readonly string[],
) {
  const { family } = parseCidr(range)?.ip ?? { family: 4 };
  const one: Configured = {
    place: PLACE,
    suspects: [],
    ranges: [
      {
        cidr: storedRange(range),
        window: { family, first: numberOf(first), last: numberOf(last) },
        excluded: excluded.map((ip) => ({ family, first: numberOf(ip), last: numberOf(ip) })),
        excludedTexts: excluded,
        ignored: [],
      },
    ],
    statics: statics.flatMap((ip) => parseIp(ip) ?? []),
  };
  return one;
}

const statesOf = (view: PoolView): string =>
  mapOf(view)
    .slice(1)
    .map((line) => line.split(/ +/).at(-1))
    .join('');

describe('spans', () => {
  it('join, and leave out', () => {
    const joined = union([
      { first: 5n, last: 9n },
      { first: 1n, last: 4n },
      { first: 20n, last: 20n },
    ]);
    expect(joined).toEqual([
      { first: 1n, last: 9n },
      { first: 20n, last: 20n },
    ]);
    expect(subtract(joined, [{ first: 3n, last: 20n }])).toEqual([{ first: 1n, last: 2n }]);
    expect([sizeOf(joined), sizeOf(joined, 9n, 100n)]).toEqual([10n, 2n]);
  });
});

describe('the view of a pool', () => {
  it('tells free, taken, excluded and static addresses apart, and counts each once', () => {
    const pool = poolWith('10.0.0.0/28', '10.0.0.4', '10.0.0.13');
    const view = viewOf(PLACE, pool, [
      configured('10.0.0.0/28', '10.0.0.4', '10.0.0.12', ['10.0.0.8'], ['10.0.0.1', '10.0.0.9', '10.0.0.4']),
    ]);
    expect(statesOf(view)).toBe('xSxx#...xS...#xx');
    expect(view.counts).toEqual({ addresses: 16n, taken: 2n, static: 2n, excluded: 6n, free: 6n });
  });
  it('is of all that several configurations give away', () => {
    const confs = [
      configured('10.0.0.0/28', '10.0.0.1', '10.0.0.4', ['10.0.0.2'], []),
      configured('10.0.0.0/28', '10.0.0.2', '10.0.0.3', [], []),
    ];
    expect(statesOf(viewOf(PLACE, poolWith('10.0.0.0/28'), confs))).toBe('x....xxxxxxxxxxx');
  });
  it('takes all but the ends where nothing is configured any more', () => {
    expect(statesOf(viewOf(PLACE, poolWith('10.0.0.0/29', '10.0.0.1'), []))).toBe('x#.....x');
  });
});

describe('the picture of a pool', () => {
  it('has blocks where there are many addresses', () => {
    const grid = gridOf(viewOf(PLACE, poolWith('10.0.0.0/16', '10.0.0.1', '10.0.255.1'), []));
    expect([grid.addressesPerCell, grid.rows.length, grid.omitted]).toEqual([64n, 16, '']);
    expect([grid.rows[0]?.cells[0]?.state, grid.rows[15]?.cells[60]?.state]).toEqual(['partly', 'partly']);
  });
  it('shows of a huge range what is in use', () => {
    const view = viewOf(PLACE, poolWith('fd00::/64', 'fd00::5'), []);
    expect(gridOf(view)).toMatchObject({ addressesPerCell: 1n, omitted: 'what is not shown has no reservations' });
    expect(mapOf(view)[1]).toMatch(/^ {2}fd00:: +x\.\.\.\.#\./);
  });
  it('is an SVG whose texts are escaped', () => {
    const pool = poolWith('10.0.0.0/30', '10.0.0.1');
    const held = pool.held.map((one) => ({ ...one, entry: { ...one.entry, podref: '<lab>/"x"' } }));
    const svg = svgOf([viewOf(PLACE, { ...pool, held }, [])]);
    expect(svg).toContain('<title>10.0.0.1: &#60;lab&#62;/&#34;x&#34; net1</title>');
    expect(svg.match(/<rect x=/g)).toHaveLength(4 + 5);
  });
});
