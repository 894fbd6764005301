import { describe, expect, it } from 'vitest';
import {
  anyObject,
  dns,
  flag,
  ipamSection,
  list,
  networkConf,
  object,
  oneOf,
  routes,
  section,
  text,
} from './config.ts';
import { type KnownKeys, keysOf, mergedKeys } from './known-keys.ts';

/** Names with those below them; '*' where any may be. */
const tree = (known: KnownKeys | undefined): unknown =>
  known === undefined ? '*' : Object.fromEntries([...known.values()].map(({ name, below }) => [name, tree(below)]));

describe('keysOf', () => {
  it('finds the keys of a schema, those of sections and lists too', () => {
    const schema = object({
      Mode: oneOf(['a', 'b'], 'a', ''),
      on: flag(''),
      names: list(text(''), ''),
      ranges: list(object({ range: text('') }), ''),
      inner: section({ deep: section({ key: text('') }, '') }, ''),
      free: anyObject(''),
      dns: dns(''),
    });
    expect(tree(keysOf(schema))).toEqual({
      Mode: '*',
      on: '*',
      names: '*',
      ranges: { range: '*' },
      inner: { deep: { key: '*' } },
      free: '*',
      dns: { nameservers: '*', domain: '*', search: '*', options: '*' },
    });
  });

  it('knows them by their lower case', () => {
    expect([...(keysOf(networkConf({ pciBusID: text('') })) ?? [])].map(([key]) => key)).toContain('pcibusid');
  });

  it('knows what routes are made of', () => {
    expect(Object.keys(tree(keysOf(object({ routes: routes('') }))) as object)).toEqual(['routes']);
    expect(
      keysOf(object({ routes: routes('') }))
        ?.get('routes')
        ?.below?.has('gw'),
    ).toBe(true);
  });
});

describe('mergedKeys', () => {
  it('has what either knows, at every depth', () => {
    const one = keysOf(object({ ipam: ipamSection(), a: text('') })) as KnownKeys;
    const other = keysOf(
      object({ IPAM: section({ range: text('') }, ''), a: section({ b: text('') }, '') }),
    ) as KnownKeys;
    expect(tree(mergedKeys(one, other))).toEqual({ ipam: { type: '*', range: '*' }, a: { b: '*' } });
  });
});
