import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../lib/cni/json.ts';
import { parseNetwork } from '../../../lib/cni/network-list.ts';
import { planDelegate } from '../delegates.ts';
import { type Injection, inject } from './inject.ts';

const into = (document: JsonObject, injection: Injection): string =>
  String(inject({ document, bytes: undefined }, 'nad', injection).bytes);

const DEVICE = { deviceId: '0000:01:00.1' };
const SINGLE = { type: 'sriov', name: 'a', cniVersion: '1.0.0' };
const LIST = { name: 'a', cniVersion: '1.0.0', plugins: [{ type: 'sriov', vlan: 5 }, { type: 'tuning' }] };

describe('inject', () => {
  it('puts the device into a configuration of one plugin, under both of its names', () => {
    expect(into(SINGLE, DEVICE)).toBe(
      '{"cniVersion":"1.0.0","deviceID":"0000:01:00.1","name":"a","pciBusID":"0000:01:00.1","type":"sriov"}',
    );
  });

  it('puts it into every plugin of a list, and not into the list', () => {
    expect(into(LIST, DEVICE)).toBe(
      '{"cniVersion":"1.0.0","name":"a","plugins":[' +
        '{"deviceID":"0000:01:00.1","pciBusID":"0000:01:00.1","type":"sriov","vlan":5},' +
        '{"deviceID":"0000:01:00.1","pciBusID":"0000:01:00.1","type":"tuning"}]}',
    );
  });

  it('replaces a device that is there, however its key is written', () => {
    expect(into({ type: 'sriov', deviceid: 'old', DeviceID: 'older', pciBusID: 'old' }, DEVICE)).toBe(
      '{"deviceID":"0000:01:00.1","pciBusID":"0000:01:00.1","type":"sriov"}',
    );
  });

  it('merges arguments of the annotation into those that are there, and keeps what else there is', () => {
    const document = { ...SINGLE, args: { other: [1], cni: { a: 1, b: { x: 1 } } } };
    expect(into(document, { cniArgs: { b: { y: 2 }, c: '<3>' } })).toBe(
      '{"args":{"cni":{"a":1,"b":{"y":2},"c":"\\u003c3\\u003e"},"other":[1]},"cniVersion":"1.0.0","name":"a","type":"sriov"}',
    );
  });

  it('merges them into every plugin of a list, beside the device', () => {
    const document = {
      ...LIST,
      plugins: [
        { type: 'x', args: { cni: { a: 1 } } },
        { type: 'y', Args: { CNI: { b: 2 } } },
      ],
    };
    expect(into(document, { deviceId: 'd', cniArgs: { a: 9 } })).toBe(
      '{"cniVersion":"1.0.0","name":"a","plugins":[' +
        '{"args":{"cni":{"a":9}},"deviceID":"d","pciBusID":"d","type":"x"},' +
        '{"args":{"cni":{"a":9,"b":2}},"deviceID":"d","pciBusID":"d","type":"y"}]}',
    );
  });

  it.each([
    [{ args: null }, '{"args":{"cni":{"a":1}}'],
    [{ args: { cni: null } }, '{"args":{"cni":{"a":1}}'],
    [{ args: {} }, '{"args":{"cni":{"a":1}}'],
  ])('takes %j for nothing', (args, text) => {
    expect(into({ ...SINGLE, ...args }, { cniArgs: { a: 1 } })).toContain(text);
  });

  it.each([
    [{ ...SINGLE, args: 'x' }, 'cannot use "nad.args": "x" is not an object'],
    [{ ...SINGLE, args: [1] }, 'cannot use "nad.args": [1] is not an object'],
    [{ ...SINGLE, args: { cni: 7 } }, 'cannot use "nad.args.cni": 7 is not an object'],
    [
      { ...LIST, plugins: [{ type: 'x' }, { type: 'y', args: 1 }] },
      'cannot use "nad.plugins.1.args": 1 is not an object',
    ],
  ])('refuses %j', (document, why) => {
    expect(() => into(document, { cniArgs: { a: 1 } })).toThrow(expect.objectContaining({ code: 7, message: why }));
    expect(() => into(document, DEVICE)).not.toThrow(); // nothing is merged into them
  });

  it('gives back the same, to the byte, where there is nothing to inject', () => {
    const given = { document: SINGLE, bytes: Buffer.from('{ "type" : "sriov" }') };
    for (const injection of [{}, { deviceId: '' }, { cniArgs: {} }, { deviceId: undefined, cniArgs: undefined }]) {
      expect(inject(given, 'nad', injection)).toBe(given);
    }
  });

  it.each([{ name: 'a' }, { name: 'a', plugins: 'x' }, { name: 'a', plugins: [null, 1, []] }, {}])(
    'leaves %j to the one who reads it',
    (document) => {
      expect(inject({ document, bytes: undefined }, 'nad', DEVICE).document).toEqual(document);
      expect(() => parseNetwork(document, 'nad')).toThrow('nad');
    },
  );

  it('changes nothing of what it was given, and takes names that objects have for names', () => {
    const document = JSON.parse('{"type":"x","name":"a","args":{"cni":{"__proto__":{"a":1}}}}') as JsonObject;
    const before = JSON.stringify(document);
    const cniArgs = JSON.parse('{"__proto__":{"b":2},"constructor":1}') as JsonObject;
    expect(into(document, { cniArgs })).toContain('{"cni":{"__proto__":{"b":2},"constructor":1}}');
    expect(JSON.stringify(document)).toBe(before);
    expect(({} as { b?: number }).b).toBeUndefined();
  });

  it('makes what a delegate is planned from', () => {
    const { document, bytes } = inject({ document: LIST, bytes: undefined }, 'nad', DEVICE);
    const { list } = planDelegate(document, 'nad', bytes);
    expect(list.plugins.map((plugin) => plugin.document['deviceID'])).toEqual(['0000:01:00.1', '0000:01:00.1']);
    expect(list.bytes).toBe(bytes);
  });
});
