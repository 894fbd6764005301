import { describe, expect, it } from 'vitest';
import { allocationOf, giveOut, joinedAllocations, shortages, sortedAllocation } from './allocation.ts';

const XY = allocationOf([
  { resource: 'x', ids: ['b', 'a'] },
  { resource: 'y', ids: ['c'] },
  { resource: 'x', ids: ['d', 'a'] },
]);

describe('allocationOf', () => {
  it('gathers devices by resource, each once, in the order in which they come', () => {
    expect([...XY]).toEqual([
      ['x', ['b', 'a', 'd']],
      ['y', ['c']],
    ]);
  });
  it('sorts ids as texts', () => {
    const ids = ['10', '9', '0000:01:10.0', '0000:01:0a.0'];
    expect(sortedAllocation(new Map([['x', ids]])).get('x')).toEqual(['0000:01:0a.0', '0000:01:10.0', '10', '9']);
    expect(ids[0]).toBe('10');
  });
  it('joins several, the first one before the others', () => {
    const other = new Map([
      ['y', ['a', 'c']],
      ['z', ['z']],
    ]);
    expect([...joinedAllocations(XY, other)]).toEqual([
      ['x', ['b', 'a', 'd']],
      ['y', ['c', 'a']],
      ['z', ['z']],
    ]);
  });
});

describe('giveOut', () => {
  it('has one turn for each resource, whoever wants it', () => {
    expect(giveOut(XY, ['x', undefined, 'y', 'x', '', 'x'])).toEqual(['b', undefined, 'c', 'a', undefined, 'd']);
  });
  it('gives nothing where there is nothing, or nothing left', () => {
    expect(giveOut(XY, ['y', 'y', 'w', '__proto__'])).toEqual(['c', undefined, undefined, undefined]);
  });
});

describe('shortages', () => {
  it('names resources of which there are too few', () => {
    expect([...shortages(XY, ['x', 'y', 'y', 'w', undefined, ''])]).toEqual(['y', 'w']);
    expect(shortages(XY, ['x', 'x', 'x']).size).toBe(0);
  });
});
