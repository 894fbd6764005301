import { describe, expect, it } from 'vitest';
import type { JsonObject } from './json.ts';
import { parseNetwork, supports } from './network-list.ts';

const read = (document: JsonObject) => parseNetwork(document, 'delegates.0', Buffer.from('as given'));

describe('parseNetwork', () => {
  it('makes a network of one plugin', () => {
    const document = { cniVersion: '1.0.0', name: 'lan', type: 'alpha', capabilities: { mac: true, ips: false } };
    expect(read(document)).toEqual({
      name: 'lan',
      cniVersion: '1.0.0',
      plugins: [{ document, type: 'alpha', name: 'lan', capabilities: ['mac'] }],
      disableCheck: false,
      disableGC: false,
      bytes: Buffer.from('as given'),
    });
  });

  it('makes a network of a list, keys in any case', () => {
    const list = read({ Name: 'lan', Plugins: [{ TYPE: 'alpha' }, { type: 'beta' }], disablegc: 'true' });
    expect(list).toMatchObject({ name: 'lan', cniVersion: '', disableGC: true, disableCheck: false });
    expect(list.plugins.map(({ type }) => type)).toEqual(['alpha', 'beta']);
  });

  it('keeps a configuration that is not given as bytes with its keys in byte order', () => {
    const document = { type: 'alpha', '\u{1f600}': 1, '\ue000': { b: 1, B: 2 }, name: 'lan' };
    expect(parseNetwork(document).bytes.toString()).toBe(
      '{"name":"lan","type":"alpha","\ue000":{"B":2,"b":1},"\u{1f600}":1}',
    );
  });

  it.each([
    ['0.3.1', ['0.4.0', '1.2.0', '1.1.0'], '1.1.0'],
    ['', ['0.4.0', '0.3.1'], '0.4.0'],
    ['1.0.0', [], '1.0.0'],
    ['', ['1.2.0'], ''],
  ])('chooses from %j and %j version %j', (cniVersion, cniVersions, chosen) => {
    expect(read({ cniVersion, cniVersions, name: 'lan', plugins: [{ type: 'alpha' }] }).cniVersion).toBe(chosen);
  });

  it.each<[JsonObject, string]>([
    [{}, 'cannot use "delegates.0": {} has neither "type" nor "plugins"'],
    [{ plugins: null }, 'cannot use "delegates.0": {"plugins":null} has neither "type" nor "plugins"'],
    [{ plugins: {} }, 'cannot use "delegates.0.plugins": {} is not a list'],
    [{ plugins: [] }, 'cannot use "delegates.0.plugins": [] has no plugin'],
    [{ plugins: [null] }, 'cannot use "delegates.0.plugins.0": null is not an object'],
    [{ plugins: [{}] }, 'cannot use "delegates.0.plugins.0.type": {} has no "type"'],
    [
      { plugins: [{ type: 'a' }, { type: null }] },
      'cannot use "delegates.0.plugins.1.type": {"type":null} has no "type"',
    ],
    [{ type: 5 }, 'cannot use "delegates.0.type": 5 is not a string'],
    [{ type: 'a', name: {} }, 'cannot use "delegates.0.name": {} is not a string'],
    [{ type: 'a', capabilities: [] }, 'cannot use "delegates.0.capabilities": [] is not an object'],
    [
      { plugins: [{ type: 'a' }], disableCheck: 'maybe' },
      'cannot use "delegates.0.disableCheck": "maybe" is not a boolean',
    ],
    [{ plugins: [{ type: 'a' }], disableGC: 1 }, 'cannot use "delegates.0.disableGC": 1 is not a boolean'],
    [{ plugins: [{ type: 'a' }], cniVersions: '1' }, 'cannot use "delegates.0.cniVersions": "1" is not a list'],
    [{ plugins: [{ type: 'a' }], cniVersions: [1] }, 'cannot use "delegates.0.cniVersions.0": 1 is not a string'],
  ])('refuses %j', (document, message) => {
    expect(() => read(document)).toThrow(expect.objectContaining({ code: 7, message }));
  });
});

describe('speaks', () => {
  it.each([
    ['', false],
    ['0.3.1', false],
    ['0.4.0', true],
    ['1.2.0', true],
    ['new', false],
  ])('of version %j 0.4.0: %j', (cniVersion, answer) => {
    expect(supports(read({ cniVersion, name: 'lan', type: 'alpha' }), '0.4.0')).toBe(answer);
  });
});
