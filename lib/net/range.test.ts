import { describe, expect, it } from 'vitest';
import { type Seeded, seeded } from '../sys/testing/seeded.ts';
import { type Cidr, parseCidr } from './cidr.ts';
import { bitsOf, type Ip, parseIp } from './ip.ts';
import { includes, lowestFree, narrow, type Range, rangeFrom, rangeOf, usableOf } from './range.ts';

const cidr = (text: string): Cidr => parseCidr(text) as Cidr;
const ip = (text: string): Ip => parseIp(text) as Ip;
const part = (first: string, last: string): Range => ({
  family: ip(first).family,
  first: ip(first).value,
  last: ip(last).value,
});

describe('usableOf', () => {
  it.each([
    ['192.0.2.0/24', part('192.0.2.1', '192.0.2.254')],
    ['192.0.2.77/30', part('192.0.2.77', '192.0.2.78')],
    ['fd00::/64', part('fd00::1', 'fd00::ffff:ffff:ffff:fffe')],
    ['0.0.0.0/0', part('0.0.0.1', '255.255.255.254')],
  ])('leaves the first and the last address of %s out', (text, expected) => {
    expect(usableOf(cidr(text))).toEqual(expected);
  });

  it.each(['192.0.2.0/31', '192.0.2.0/32', 'fd00::/127', 'fd00::/128'])('finds nothing in %s', (text) => {
    expect(usableOf(cidr(text))).toBeUndefined();
  });
});

describe('narrow', () => {
  const usable = part('192.0.2.1', '192.0.2.254');
  it.each([
    ['both bounds', '192.0.2.10', '192.0.2.20', part('192.0.2.10', '192.0.2.20')],
    ['no bounds', undefined, undefined, usable],
    ['a start that is not usable', '192.0.2.0', '192.0.2.20', part('192.0.2.1', '192.0.2.20')],
    ['an end that is not usable', '192.0.2.10', '192.0.2.255', part('192.0.2.10', '192.0.2.254')],
    ['an end before the start', '192.0.2.250', '192.0.2.9', part('192.0.2.250', '192.0.2.254')],
    ['bounds of another family', 'fd00::1', 'fd00::9', usable],
  ])('takes %s', (_, start, end, expected) => {
    expect(
      narrow(usable, start === undefined ? undefined : ip(start), end === undefined ? undefined : ip(end)),
    ).toEqual(expected);
  });
});

describe('rangeFrom', () => {
  it.each([
    ['10.0.0.5', '10.0.0.5'],
    ['10.0.0.1', '10.0.0.2'],
    ['10.0.0.10', '10.0.0.10'],
  ])('begins at %s, not before the range', (from, first) => {
    expect(rangeFrom(part('10.0.0.2', '10.0.0.9'), ip(from).value)).toEqual({
      ...part('10.0.0.2', '10.0.0.9'),
      first: ip(first).value,
    });
  });
});

describe('lowestFree', () => {
  it('passes an exclusion of 2^64 addresses in one step', () => {
    const window = part('fd00::1', 'fd00:0:0:2::');
    expect(lowestFree(window, [part('fd00::', 'fd00::ffff:ffff:ffff:ffff')], () => false)).toBe(
      ip('fd00:0:0:1::').value,
    );
  });

  it('does not let an exclusion of one family match the other', () => {
    expect(lowestFree(part('0.0.0.1', '0.0.0.5'), [part('::1', '::5')], () => false)).toBe(1n);
  });
});

/** The same arithmetic, written the slow way: every address is looked at. */
describe('range arithmetic', () => {
  it('agrees with a plain model in 10,000 random operations', () => {
    const random = seeded();
    for (let round = 0; round < 10_000; round++) {
      const { prefix, model } = smallNetwork(random);
      const what = `seed ${random.seed}, round ${round}`;
      const range = rangeOf(prefix);
      expect([range.first, range.last], what).toEqual([model[0], model.at(-1)]);
      const usable = usableOf(prefix);
      const inner = model.slice(1, -1);
      expect(usable === undefined ? [] : spread(usable), what).toEqual(inner);
      if (usable !== undefined) {
        checkAllocation(random, usable, inner, what);
      }
    }
  });
});

function checkAllocation(random: Seeded, usable: Range, inner: readonly bigint[], what: string): void {
  const [start, end] = [near(random, usable), near(random, usable)];
  const window = narrow(usable, start, end);
  const from = inner.includes(start.value) ? inner.slice(inner.indexOf(start.value)) : inner;
  const model = from.includes(end.value) ? from.slice(0, from.indexOf(end.value) + 1) : from;
  expect(spread(window), what).toEqual(model);
  const excluded = Array.from({ length: random.below(3) }, () => pair(near(random, usable), near(random, usable)));
  const taken = new Set(model.filter(() => random.below(3) > 0));
  const free = model.find((value) => !taken.has(value) && !excluded.some((r) => r.first <= value && value <= r.last));
  expect(
    lowestFree(window, excluded, (value) => taken.has(value)),
    what,
  ).toBe(free);
  expect(includes(window, start), what).toBe(model.includes(start.value));
}

function smallNetwork(random: Seeded): { prefix: Cidr; model: readonly bigint[] } {
  const family = random.pick([4, 6] as const);
  const bits = bitsOf(family);
  const hostBits = random.below(6);
  let value = 0n;
  for (let byte = 0; byte < bits / 8; byte++) {
    value = (value << 8n) | BigInt(random.pick([0, 1, 127, 128, 255, random.below(256)]));
  }
  const size = 2 ** hostBits;
  const first = value - (value % BigInt(size));
  return {
    prefix: { ip: { family, value }, prefix: bits - hostBits },
    model: Array.from({ length: size }, (_, i) => first + BigInt(i)),
  };
}

const near = (random: Seeded, { family, first, last }: Range): Ip => ({
  family,
  value: first - 2n + BigInt(random.below(Number(last - first) + 5)),
});

function pair(a: Ip, b: Ip): Range {
  const [low, high] = a.value < b.value ? [a, b] : [b, a];
  return { family: a.family, first: low.value, last: high.value };
}

const spread = ({ first, last }: Range): readonly bigint[] =>
  Array.from({ length: Number(last - first) + 1 }, (_, i) => first + BigInt(i));
