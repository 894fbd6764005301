import { describe, expect, it } from 'vitest';
import { parseIp } from '../../../lib/net/ip.ts';
import { entriesIn, entriesOf, mapEntries, type Stored } from './pool-entries.ts';

const [BASE, BASE6] = ['10.0.0.0', 'fd00::'].map((text) => parseIp(text) ?? expect.fail());
const entry = (id: string, podref = `lab/${id}`) => ({ id, podref, ifname: 'net1' });
const offset = ({ held }: Stored): number => Number(held.ip.value - (BASE?.value ?? 0n));

const ALLOCATIONS = {
  ...{ '1': entry('a'), '2': entry('a', 'lab/b'), '3': entry('c'), '7': entry('d'), '05': entry('e') },
  ...{ '+7': entry('f'), x: entry('g'), '': entry('h'), '99999999999': entry('i'), '-1': entry('j') },
};
const entries = entriesIn(ALLOCATIONS, '10.0.0.0/24', BASE ?? expect.fail());

describe('entries of a pool', () => {
  it('are those whose keys stand for addresses, numbers first', () => {
    expect(entries.all().map((one) => [one.key, offset(one)])).toEqual([
      ...[['1', 1], ['2', 2], ['3', 3], ['7', 7]], // biome-ignore format: a line
      ...[['05', 5], ['+7', 7], ['-1', -1]], // biome-ignore format: a line
    ]);
    expect(entries.count).toBe(10);
  });

  it('are the same whenever they are asked for', () => {
    expect(entries.at('05')).toBe(entries.all().find(({ key }) => key === '05'));
    expect(entries.at('x')).toBeUndefined();
    expect(entries.at('toString')).toBeUndefined();
  });

  it.each([entries, entriesOf(entries.all()), mapEntries(entries, (one) => ({ ...one }))])(
    'tell which addresses are taken, however the key is written',
    (some) => {
      const value = (at: number): bigint => (BASE?.value ?? 0n) + BigInt(at);
      const taken = Array.from({ length: 10 }, (_, at) => at - 1).filter((at) => some.has(value(at)));
      expect(taken).toEqual([-1, 1, 2, 3, 5, 7]);
      expect(some.keysAt(value(7))).toEqual(['7', '+7']);
      expect([-1, 1, 4, 5, 7].map((at) => Number(some.firstWithout(value(at), value(20)) - value(0)))).toEqual([
        ...[0, 4, 4, 6, 8],
      ]);
      expect(some.firstWithout(value(1), value(3))).toBe(value(3));
      expect(some.firstWithout(value(9), value(9))).toBe(value(9));
    },
  );

  it('are found by container and by pod, also when many are asked for', () => {
    for (let round = 0; round < 2; round++) {
      expect(entries.ofContainer('a')).toEqual(['1', '2']);
      expect(entries.ofContainer('nobody')).toEqual([]);
      expect(['c', 'd', 'e', 'f', 'g'].map((id) => entries.ofContainer(id))).toEqual([
        ...[['3'], ['7'], ['05'], ['+7'], ['x']],
      ]);
      expect(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => entries.ofPod(`lab/${name}`)[0])).toEqual([
        ...['1', '2', '3', '7', '05', '+7'],
      ]);
    }
  });

  it('may be farther away than JavaScript counts', () => {
    const far = 2n ** 63n;
    const base = BASE6 ?? expect.fail();
    const some = entriesIn({ [String(far)]: entry('a'), [String(far + 1n)]: entry('b') }, 'fd00::/64', base);
    expect(some.has(base.value + far)).toBe(true);
    expect(some.firstWithout(base.value + far, base.value + far + 9n)).toBe(base.value + far + 2n);
    expect(some.keysAt(base.value + far + 1n)).toEqual([String(far + 1n)]);
  });
});
