import { describe, expect, it } from 'vitest';
import { compact, parseJson, sorted, withPlainIntegers } from './json.ts';
import { depthFault, MAX_DEPTH, rawMembers, stringifyDeep } from './nesting.ts';

const lists = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
const objects = (depth: number): string => `${'{"b":1,"a":'.repeat(depth)}0${'}'.repeat(depth)}`;
/** the same, keys in order */
const ordered = (depth: number): string => `${'{"a":'.repeat(depth)}0${',"b":1}'.repeat(depth)}`;

describe('a JSON text', () => {
  it.each([lists, objects])('may be as deep as Go reads it, and not deeper', (deep) => {
    expect(depthFault(deep(MAX_DEPTH))).toBeUndefined();
    expect(depthFault(deep(MAX_DEPTH + 1))).toBe('it is nested deeper than 10000 levels');
    expect(() => parseJson(deep(MAX_DEPTH + 1))).toThrow('it is nested deeper than 10000 levels');
  });

  it('is not deep for what stands in its strings', () => {
    expect(depthFault(JSON.stringify({ a: `"${'['.repeat(3 * MAX_DEPTH)}\\"`, b: [1] }))).toBeUndefined();
  });

  it('can be sorted, written and read for integers at that depth', () => {
    const value = parseJson(objects(MAX_DEPTH));
    expect(compact(sorted(value))).toBe(ordered(MAX_DEPTH));
    const text = `{"mtu":1.4e3,"deep":${objects(MAX_DEPTH - 1)}}`;
    expect(withPlainIntegers(JSON.parse(text), text)['mtu']).toBe(Number.NaN);
  });

  it.each([null, 1, 'a"b', [], {}, [1, [undefined, 2]], { a: undefined, b: [{ c: null, __proto__x: '\u2028' }] }])(
    'is written deep as it is otherwise: %j',
    (value) => {
      expect(stringifyDeep(value)).toBe(JSON.stringify(value));
    },
  );

  it('is written whatever its depth', () => {
    expect(stringifyDeep(JSON.parse(lists(50_000)))).toBe(lists(50_000));
  });

  it('shows the members of its outermost object as they are written', () => {
    const text = ' { "a" : 1.0 , "b,:}" : {"c":[2,"}"],"d":3} ,"a":"x\\"y", "\\u0065":[1e3]} ';
    expect([...rawMembers(text)]).toEqual([
      ['a', '"x\\"y"'],
      ['b,:}', '{"c":[2,"}"],"d":3}'],
      ['e', '[1e3]'],
    ]);
    expect([...rawMembers('{}')]).toEqual([]);
  });
});
