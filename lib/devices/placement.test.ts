import { describe, expect, it } from 'vitest';
import { choose, distance, type Policy } from './placement.ts';

/** Two cards of three functions behind one switch, a third behind a port of its own, and a fourth on the other socket. */
const CARDS: Readonly<Record<string, readonly [above: string, numaNode: number]>> = {
  a: ['devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:00.0', 0],
  b: ['devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:01.0', 0],
  c: ['devices/pci0000:00/0000:00:02.0', 0],
  d: ['devices/pci0000:80/0000:80:01.0', 1],
};

const DEVICES = new Map(
  Object.entries(CARDS).flatMap(([card, [above, numaNode]]) =>
    ['1', '2', '3'].map((number) => {
      const id = card + number;
      return [id, { id, place: `${above}/${id}`, numaNode, pfAddress: card, pciAddress: id }] as const;
    }),
  ),
);

const chosen = (policy: Policy, available: string, size: number, must = ''): string =>
  choose(policy, DEVICES, {
    availableDeviceIDs: available.split(' '),
    mustIncludeDeviceIDs: must === '' ? [] : must.split(' '),
    allocationSize: size,
  }).join(' ');

describe('devices for a container', () => {
  it('are some steps away from each other', () => {
    const between = (a: string, b: string): number =>
      distance(DEVICES.get(a) ?? expect.fail(a), DEVICES.get(b) ?? expect.fail(b));
    expect(['a1', 'a2', 'b1', 'c1', 'd1'].map((id) => between('a1', id))).toEqual([0, 2, 4, 6, 1008]);
  });

  it.each<[policy: Policy, available: string, size: number, must: string, ids: string]>([
    ['packed', 'a1 a2 a3 b1 b2 c1', 1, '', 'c1'],
    ['packed', 'a1 a2 a3 b1 b2 c1', 2, '', 'b1 b2'],
    ['packed', 'a1 a2 a3 b1 b2 c1', 4, '', 'a1 a2 a3 c1'],
    ['packed', 'a1 a2 a3 b1 b2 c1', 2, 'a2', 'a2 a1'],
    ['balanced', 'a1 a2 a3 b1 b2 c1', 1, '', 'a1'],
    ['balanced', 'a1 a2 a3 b1 b2 b3 c1', 3, '', 'a1 b1 a2'],
    ['balanced', 'a1 a2 a3 b1 b2', 3, 'b1', 'b1 a1 a2'],
    ['near', 'a1 b1 c1 d1 d2', 2, '', 'd1 d2'],
    ['near', 'a1 b1 c1 d1', 2, '', 'a1 b1'],
    ['near', 'a1 b1 c1 d1', 3, '', 'a1 b1 c1'],
    ['near', 'a2 b1 c1 d1', 2, 'c1', 'c1 a2'],
    ['near', 'a1 d1 d3', 2, 'd3', 'd3 d1'],
    ['near', 'a1', 3, '', 'a1'],
    ['near', 'a1 b1', 1, 'b1', 'b1'],
    ['', 'c1 a1 b1', 2, '', 'a1 b1'],
  ])('are %s: of %s %i with %j', (policy, available, size, must, ids) => {
    expect(chosen(policy, available, size, must)).toBe(ids);
  });

  it('are chosen among those that are known', () => {
    expect(chosen('near', 'x1 a1', 1)).toBe('a1');
  });
});
