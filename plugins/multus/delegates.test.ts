import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../lib/cni/json.ts';
import { planDelegate, planDelegates, recallDelegate } from './delegates.ts';

describe('planDelegates', () => {
  it('keeps the whole configuration, keys in byte order', () => {
    const [delegate] = planDelegates([{ type: 'alpha', name: 'lan', own: { b: 1, a: 2 }, Big: '<' }]);
    expect(delegate?.list.bytes.toString()).toBe('{"Big":"\\u003c","name":"lan","own":{"a":2,"b":1},"type":"alpha"}');
    expect(delegate?.name).toBe('lan');
  });

  it('notes what the specification knows of a configuration', () => {
    const document = {
      type: 'alpha',
      name: 'lan',
      cniVersion: '1.0.0',
      own: 1,
      capabilities: { mac: true, ips: null },
      ipam: { type: 'beta', range: 'x' },
      dns: { search: ['b'], domain: 'a', nameservers: [] },
      prevResult: { cniVersion: '1.0.0' },
    };
    expect(JSON.stringify(planDelegate(document, '').conf)).toBe(
      '{"capabilities":{"ips":false,"mac":true},"cniVersion":"1.0.0","dns":{"domain":"a","search":["b"]},"ipam":{"type":"beta"},"name":"lan","prevResult":{"cniVersion":"1.0.0"},"type":"alpha"}',
    );
    expect(planDelegate({ type: 'alpha', name: 'lan', ipam: {}, prevResult: {}, dns: null }, '').conf).toEqual({
      ipam: {},
      name: 'lan',
      type: 'alpha',
    });
  });

  it('notes the same of every plugin of a list', () => {
    const plugins = [{ type: 'alpha', name: 'a', capabilities: { mac: true } }, { type: 'beta' }];
    const { conf, confList } = planDelegate({ name: 'lst', disableCheck: true, cniVersion: '0.4.0', plugins }, '');
    expect(JSON.stringify(conf)).toBe('{"cniVersion":"0.4.0","ipam":{},"name":"lst"}');
    expect(JSON.stringify(confList)).toBe(
      '{"cniVersion":"0.4.0","name":"lst","disableCheck":true,"plugins":[{"capabilities":{"mac":true},"ipam":{},"name":"a","type":"alpha"},{"ipam":{},"type":"beta"}]}',
    );
  });

  it.each<[JsonObject, string]>([
    [{ name: 'n' }, 'cannot use "delegates.0": {"name":"n"} has neither "type" nor "plugins"'],
    [{ name: 'n', type: '' }, 'cannot use "delegates.0": {"name":"n","type":""} has neither "type" nor "plugins"'],
    [{ name: 'n', type: null, plugins: null }, 'has neither "type" nor "plugins"'],
    [{ name: 'n', plugins: [] }, 'cannot use "delegates.0.plugins": [] has no plugin'],
    [{ name: 'n', plugins: [null] }, 'cannot use "delegates.0.plugins.0": null is not an object'],
    [{ name: 'n', plugins: [{ type: null }] }, 'cannot use "delegates.0.plugins.0.type": {"type":null} has no "type"'],
    [{ type: 'alpha' }, 'missing network name: cannot use "delegates.0.name": it is empty'],
    [{ type: 'alpha', name: 'a b' }, 'cannot use "delegates.0.name" "a b": it must begin'],
    [{ type: 'alpha', name: 7 }, 'cannot use "delegates.0.name": 7 is not a string'],
    [{ type: 'alpha', name: 'n', ipam: 'dhcp' }, 'cannot use "delegates.0.ipam": "dhcp" is not an object'],
    [{ type: 'alpha', name: 'n', ipam: { type: 1 } }, 'cannot use "delegates.0.ipam.type": 1 is not a string'],
    [
      { type: 'alpha', name: 'n', capabilities: { mac: 'yes' } },
      '"delegates.0.capabilities.mac": "yes" is not a boolean',
    ],
    [{ type: 'alpha', name: 'n', dns: { domain: 1 } }, 'cannot read "delegates.0.dns.domain": 1 is not a string'],
    [
      { name: 'n', plugins: [{ type: 'alpha', ipam: [] }] },
      'cannot use "delegates.0.plugins.0.ipam": [] is not an object',
    ],
    [{ type: 'multus', name: 'n' }, 'cannot use "delegates.0.type" "multus": multus would call itself'],
    [{ name: 'n', plugins: [{ type: 'alpha' }, { type: 'multus-shim' }] }, '"multus-shim": multus would call itself'],
  ])('refuses %j', (document, message) => {
    expect(() => planDelegates([document])).toThrow(
      expect.objectContaining({ code: 7, message: expect.stringContaining(message) }),
    );
  });
});

describe('planDelegates, given a number that no double holds', () => {
  it.each([
    ['{"name":"n","type":"alpha","mtu":1e309}', '"delegates.0.mtu"'],
    ['{"name":"n","type":"alpha","a":{"b":[0,-1e309]}}', '"delegates.0.a.b.1"'],
    ['{"name":"n","x":1e309,"plugins":[{"type":"alpha"}]}', '"delegates.0.x"'],
    ['{"name":"n","plugins":[{"type":"alpha"},{"type":"beta","x":1e309}]}', '"delegates.0.plugins.1.x"'],
  ])('refuses %s and says which number', (text, key) => {
    const document = JSON.parse(text) as JsonObject;
    expect(() => planDelegates([document])).toThrow(`cannot use ${key}: a number out of range`);
    expect(() => planDelegate(document, '')).toThrow(`cannot use ${key.replace('delegates.0.', '')}`);
  });

  it('says so in few words, however deep the number is and however long its key', () => {
    const deep = `${'{"a":'.repeat(5000)}1e309${'}'.repeat(5000)}`;
    for (const inner of [`"x":${deep}`, `"${'k'.repeat(200_000)}":1e309`]) {
      const document = JSON.parse(`{"name":"n","type":"alpha",${inner}}`) as JsonObject;
      expect(() => planDelegates([document])).toThrow(/^cannot use "delegates\.0\..{0,500}: a number out of range$/);
    }
  });
});

describe('recallDelegate', () => {
  it('gives a list without a version that of the configuration, and only a list', () => {
    const recall = (document: JsonObject) => recallDelegate(Buffer.from(JSON.stringify(document)), '1.0.0').list;
    expect(recall({ name: 'n', plugins: [{ type: 'alpha' }] }).cniVersion).toBe('1.0.0');
    expect(recall({ name: 'n', plugins: [{ type: 'alpha' }], cniVersion: '0.3.1' }).cniVersion).toBe('0.3.1');
    expect(recall({ name: 'n', type: 'alpha' }).cniVersion).toBe('');
  });

  it('does not judge what ran already', () => {
    const bytes = Buffer.from('{"name":"a b","type":"alpha","ipam":"x","dns":5}');
    expect(recallDelegate(bytes, '1.0.0').list.name).toBe('a b');
  });
});
