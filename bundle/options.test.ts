import { describe, expect, it } from 'vitest';
import { optionsOf } from './options.ts';

describe('optionsOf', () => {
  it('names the type of a list, and the keys of the objects in it, however deep', () => {
    const object = { type: 'object', properties: { subnet: { type: 'string', description: 'a subnet' } } };
    const properties = {
      names: { type: 'array', items: { type: 'string' } },
      ranges: { type: 'array', description: 'sets', items: { type: 'array', items: object } },
    };
    expect(optionsOf({ properties }).map(({ key, type }) => [key, type])).toEqual([
      ['names', 'list of strings'],
      ['ranges', 'list of lists of objects'],
      ['ranges[][].subnet', 'string'],
    ]);
  });
});
