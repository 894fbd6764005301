import { describe, expect, it } from 'vitest';
import { formatIp } from '../../../lib/net/ip.ts';
import { storedRange } from '../names.ts';
import type { IpPool, RawEntry } from './objects.ts';
import { firstSpec, isExplained, patchesOf } from './patch.ts';
import { emptyPool, isInside, isWritable, storedIn, storedPool } from './stored-pool.ts';

const object = (range: string, allocations?: Readonly<Record<string, RawEntry>>, version = '7'): IpPool => ({
  metadata: { name: 'p', resourceVersion: version },
  spec: { range, ...(allocations && { allocations }) },
});

const pool = (allocations: Readonly<Record<string, RawEntry>> = {}, range = '172.21.40.0/22') =>
  storedPool(object(range, allocations), storedRange('172.21.40.0/22'));

const WEB = { id: 'c0ff', podref: 'lab/web-3', ifname: 'net1' };

describe('storedPool', () => {
  it('reads keys as the Go plugin does, and keeps them as they are written', () => {
    const keys = ['1', '05', '+7', '-3', '1024', 'x', '', '1.0', '99999999999'];
    const stored = storedIn(pool(Object.fromEntries(keys.map((key) => [key, WEB]))));
    expect(stored.map(({ key, held }) => [key, formatIp(held.ip)])).toEqual([
      ['1', '172.21.40.1'],
      ['1024', '172.21.44.0'],
      ['05', '172.21.40.5'],
      ['+7', '172.21.40.7'],
      ['-3', '172.21.39.253'],
    ]);
  });

  it('gives nobody an address outside of the range, whatever its key says', () => {
    const own = pool({ '-3': WEB, '3': WEB, '1024': WEB });
    expect(
      storedIn(own)
        .filter((one) => isInside(own, one))
        .map(({ key }) => key),
    ).toEqual(['3']);
  });

  it('knows the addresses of keys that the Go plugin cannot read, and writes none', () => {
    const cidr = storedRange('fd00:0:0:10::/64');
    const own = storedPool(object('fd00:0:0:10::/64', { '9223372036854775808': WEB }), cidr);
    expect(storedIn(own).map(({ held }) => formatIp(held.ip))).toEqual(['fd00:0:0:10:8000::']);
    const writable = [0n, 1n, 2n ** 63n - 1n, 2n ** 63n].map((offset) => isWritable(own, own.base + offset));
    expect(writable).toEqual([true, true, true, false]);
  });

  it('counts from the address that is stored, host bits and all', () => {
    const own = pool({ '2': WEB }, '172.21.40.9/22');
    expect(storedIn(own).map(({ held }) => formatIp(held.ip))).toEqual(['172.21.40.11']);
    expect([8n, 9n].map((last) => isWritable(own, own.cidr.ip.value + last))).toEqual([false, true]);
  });

  it.each(['172.21.40.0/23', '172.21.44.0/22', 'x'])('refuses the pool of another range: %s', (range) => {
    expect(() => pool({}, range)).toThrow(`cannot use pool "p": its range is "${range}", not "172.21.40.0/22"`);
  });

  it('reads entries of old versions', () => {
    expect(storedIn(pool({ '1': { id: 'a' } }))[0]?.held.entry).toEqual({ id: 'a', podref: '', ifname: '' });
  });
});

describe('patchesOf', () => {
  it('reserves: the range is the same, the key is free', () => {
    expect(patchesOf(pool(), [{ key: '18', before: undefined, after: WEB }], false)).toEqual([
      [
        { op: 'test', path: '/spec/range', value: '172.21.40.0/22' },
        { op: 'test', path: '/spec/allocations/18', value: null },
        { op: 'add', path: '/spec/allocations/18', value: WEB },
      ],
    ]);
  });

  it('brings the container up to date: the pod, the interface and the old container are the same', () => {
    const before = { ...WEB, id: 'old' };
    expect(patchesOf(pool({ '18': before }), [{ key: '18', before, after: WEB }], false)).toEqual([
      [
        { op: 'test', path: '/spec/allocations/18/podref', value: 'lab/web-3' },
        { op: 'test', path: '/spec/allocations/18/id', value: 'old' },
        { op: 'test', path: '/spec/allocations/18/ifname', value: 'net1' },
        { op: 'replace', path: '/spec/allocations/18/id', value: 'c0ff' },
      ],
    ]);
  });

  it('releases: the container and the interface are the same; entries of old versions have none', () => {
    const legacy = { id: 'c0ff' };
    const own = pool({ '18': WEB, '05': legacy });
    const diffs = [
      { key: '18', before: WEB, after: undefined },
      { key: '05', before: legacy, after: undefined },
    ];
    expect(patchesOf(own, diffs, false)).toEqual([
      [
        { op: 'test', path: '/spec/allocations/18/id', value: 'c0ff' },
        { op: 'test', path: '/spec/allocations/18/ifname', value: 'net1' },
        { op: 'remove', path: '/spec/allocations/18' },
        { op: 'test', path: '/spec/allocations/05/id', value: 'c0ff' },
        { op: 'remove', path: '/spec/allocations/05' },
      ],
    ]);
  });

  it('moves in one', () => {
    const diffs = [
      { key: '18', before: WEB, after: undefined },
      { key: '19', before: undefined, after: WEB },
    ];
    const [patch = []] = patchesOf(pool({ '18': WEB }), diffs, false);
    expect(patch.map(({ op, path }) => `${op} ${path}`)).toEqual([
      'test /spec/range',
      'test /spec/allocations/18/id',
      'test /spec/allocations/18/ifname',
      'remove /spec/allocations/18',
      'test /spec/allocations/19',
      'add /spec/allocations/19',
    ]);
  });

  it('makes the map that an old object does not have', () => {
    const bare = storedPool(object('172.21.40.0/22'), storedRange('172.21.40.0/22'));
    const [patch = []] = patchesOf(bare, [{ key: '1', before: undefined, after: WEB }], false);
    expect(patch.slice(1, 3)).toEqual([
      { op: 'test', path: '/spec/allocations', value: null },
      { op: 'add', path: '/spec/allocations', value: {} },
    ]);
  });

  it('refuses any other change first when it is strict', () => {
    expect(patchesOf(pool(), [{ key: '1', before: undefined, after: WEB }], true)[0]?.[0]).toEqual({
      op: 'test',
      path: '/metadata/resourceVersion',
      value: '7',
    });
  });

  it('stays within what the server takes, a test before each change', () => {
    const entries = Object.fromEntries(Array.from({ length: 7000 }, (_, key) => [String(key), WEB]));
    const diffs = Object.keys(entries).map((key) => ({ key, before: WEB, after: undefined }));
    const sizes = patchesOf(pool(entries), diffs, false).map((patch) => patch.length);
    expect(sizes).toEqual([9000, 9000, 3000]);
  });
});

describe('firstSpec', () => {
  it('is the object with its first reservations in it', () => {
    const unused = emptyPool('p', storedRange('10.0.0.0/24'));
    expect(firstSpec(unused, [{ key: '1', before: undefined, after: WEB }])).toEqual({
      range: '10.0.0.0/24',
      allocations: { '1': WEB },
    });
  });
});

describe('isExplained', () => {
  const was = pool({ '1': WEB });
  const adding = [{ key: '2', before: undefined, after: WEB }];
  const removing = [{ key: '1', before: WEB, after: undefined }];
  it.each([
    ['the key is taken', adding, pool({ '1': WEB, '2': WEB }), true],
    ['another key is taken', adding, pool({ '1': WEB, '3': WEB }), false],
    ['the entry is gone', removing, pool(), true],
    ['the entry is of another container', removing, pool({ '1': { ...WEB, id: 'new' } }), true],
    ['nothing has changed', removing, was, false],
    ['the pool is gone', adding, emptyPool('p', was.cidr), true],
    ['the range has been written in another way', adding, pool({ '1': WEB }, '172.21.40.1/22'), true],
  ])('when %s', (_, diffs, is, expected) => {
    expect(isExplained(diffs, was, is, false)).toBe(expected);
  });

  it('by any other version, when strict', () => {
    const later = storedPool(object('172.21.40.0/22', { '1': WEB }, '8'), was.cidr);
    expect([isExplained(adding, was, later, true), isExplained(adding, was, later, false)]).toEqual([true, false]);
  });
});
