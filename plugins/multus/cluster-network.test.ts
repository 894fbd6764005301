import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../lib/cni/json.ts';
import { fakeNode } from '../../lib/cni/testing/fake-node.ts';
import { auxiliaryChain, delegateAt } from './cluster-network.ts';
import { multus } from './plugin.ts';
import { formatScratch } from './scratch-form.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'braid-cluster-network-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

function put(name: string, content: JsonObject | string): string {
  const file = join(dir, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

const types = (path: string): readonly string[] => delegateAt(path).list.plugins.map(({ type }) => type);

describe('delegateAt', () => {
  it('takes the configuration of one plugin as it is written', () => {
    const file = put('10-a.conf', '{ "name": "a",  "type": "alpha" }');
    expect(delegateAt(file).list.bytes.toString()).toBe('{ "name": "a",  "type": "alpha" }');
  });

  it('chains the configurations of the folder named as the network to a list', () => {
    const file = put('10-a.conflist', {
      name: 'a',
      cniVersion: '1.0.0',
      extra: 1,
      plugins: [{ type: 'alpha', own: 1 }],
    });
    put('a/20-z.conf', { type: 'gamma' });
    put('a/10-y.conf', { type: 'beta', more: { b: 1, a: 2 } });
    put('a/notes.txt', 'x');
    put('a/list.conflist', 'x');
    const delegate = delegateAt(file);
    expect(delegate.list.bytes.toString()).toBe(
      '{"cniVersion":"1.0.0","extra":1,"name":"a","plugins":[{"own":1,"type":"alpha"},{"more":{"a":2,"b":1},"type":"beta"},{"type":"gamma"}]}',
    );
    expect(formatScratch([delegate])).toContain('{"Conf":{"ipam":{}},"ConfList":{"cniVersion":"1.0.0","name":"a"');
  });

  it('chains nothing with loadOnlyInlinedPlugins', () => {
    const file = put('10-a.conflist', { name: 'a', loadOnlyInlinedPlugins: 'true', plugins: [{ type: 'alpha' }] });
    put('a/10-y.conf', { type: 'beta' });
    expect(types(file)).toEqual(['alpha']);
  });

  it('makes a list of chained plugins alone', () => {
    put('a/10-y.conf', { type: 'beta' });
    expect(types(put('10-a.conflist', { name: 'a' }))).toEqual(['beta']);
  });

  it('takes the first file of a folder, and chains nothing to it', () => {
    put('20-b.conf', { name: 'b', type: 'beta' });
    put('10-a.json', { name: 'a', plugins: [{ type: 'alpha' }] });
    put('05-x.txt', 'x');
    put('a/10-y.conf', { type: 'gamma' });
    expect(types(dir)).toEqual(['alpha']);
  });

  it.each<[string, () => string, number, string]>([
    ['nothing there', () => join(dir, 'nowhere'), 5, 'cannot find "'],
    ['an empty folder', () => dir, 7, 'holds no .conf and no .conflist'],
    ['a folder with .json only', () => dirname(put('a.json', { name: 'a', type: 'alpha' })), 7, 'holds no .conf'],
    ['no JSON', () => put('a.conf', '{'), 6, 'cannot read "'],
    ['a list', () => put('a.conf', '[]'), 6, 'it is not a JSON object'],
    ['no type', () => put('a.conf', { name: 'a', plugins: [{ type: 'alpha' }] }), 7, 'cannot use "type"'],
    ['an empty list', () => put('a.conflist', { name: 'a', plugins: [] }), 7, 'cannot use "plugins": [] has no plugin'],
    ['a null plugin', () => put('a.conflist', { name: 'a', plugins: [null] }), 7, 'cannot use "plugins.0": null'],
    [
      'plugins that are none',
      () => put('a.conflist', { name: 'a', plugins: 5 }),
      7,
      'cannot use "plugins": 5 is not a list',
    ],
    ['a name that leads elsewhere', () => put('a.conflist', { name: '../a' }), 7, 'cannot use "name" "../a"'],
    [
      'no plugins at all',
      () => put('a.conflist', { name: 'a', loadOnlyInlinedPlugins: true }),
      7,
      'nothing is not a list',
    ],
    ['itself', () => put('a.conf', { name: 'a', type: 'multus' }), 7, 'multus would call itself'],
  ])('refuses %s', (_, prepare, code, message) => {
    expect(() => delegateAt(prepare())).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });
});

describe('auxiliaryChain', () => {
  it('is passthru and every configuration of its folder', () => {
    const file = put('10-a.conf', { name: 'a', type: 'alpha' });
    put('aux/10-t.conf', { type: 'tuning' });
    expect(auxiliaryChain('aux', file, '1.0.0')?.list.bytes.toString()).toBe(
      '{"cniVersion":"1.0.0","name":"aux","plugins":[{"name":"passthru-cni","type":"passthru"},{"type":"tuning"}]}',
    );
    expect(auxiliaryChain('other', file, '1.0.0')).toBeUndefined();
  });
});

describe('multus with clusterNetwork', () => {
  const conf = (cniDir: string, binDir: string, more: JsonObject): JsonObject => ({
    cniVersion: '1.1.0',
    name: 'multus',
    type: 'multus',
    cniDir,
    binDir,
    delegates: [null],
    ...more,
  });

  it('takes it for the first network, with defaultNetworks after it and the auxiliary chain last', async () => {
    using node = fakeNode(['alpha', 'beta', 'passthru']);
    const clusterNetwork = put('10-a.conf', { cniVersion: '1.1.0', name: 'a', type: 'alpha' });
    const defaultNetworks = [put('b.conf', { cniVersion: '1.1.0', name: 'b', type: 'beta' })];
    put('aux/10-t.conf', { type: 'beta' });
    const document = conf(node.cniDir, node.binDir, {
      delegates: [],
      clusterNetwork,
      defaultNetworks,
      auxiliaryCNIChainName: 'aux',
    });
    expect((await node.run(multus, 'ADD', document)).exitCode).toBe(0);
    expect(node.log()).toEqual(['ADD alpha eth0', 'ADD beta net1', 'ADD passthru net2', 'ADD beta net2']);
    node.seen.length = 0;
    await node.run(multus, 'DEL', conf(node.cniDir, node.binDir, {}));
    expect(node.log()).toEqual(['DEL beta net2', 'DEL beta net1', 'DEL alpha eth0', 'DEL passthru net2']);
    node.seen.length = 0;
    const system = { CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=kube-system' };
    await node.run(multus, 'ADD', { ...document, auxiliaryCNIChainName: '' }, system);
    expect(node.log()).toEqual(['ADD alpha eth0']);
  });

  it('says which file is the trouble', async () => {
    using node = fakeNode();
    const clusterNetwork = put('10-a.conf', { name: 'a', type: 'alpha', ipam: [] });
    const { stdout } = await node.run(multus, 'ADD', conf(node.cniDir, node.binDir, { delegates: [], clusterNetwork }));
    expect(JSON.parse(stdout)).toEqual({
      code: 7,
      msg: `Multus: [//]: failed to get clusterNetwork/defaultNetworks: file "${clusterNetwork}": cannot use "ipam": [] is not an object`,
    });
    expect(node.files()).toEqual({});
  });

  it('does without an auxiliary chain that cannot be read', async () => {
    using node = fakeNode();
    const clusterNetwork = put('10-a.conf', { cniVersion: '1.1.0', name: 'a', type: 'alpha' });
    put('aux/10-t.conf', '{');
    const more = { delegates: [], clusterNetwork, auxiliaryCNIChainName: 'aux', logLevel: 'error' };
    expect((await node.run(multus, 'ADD', conf(node.cniDir, node.binDir, more))).exitCode).toBe(0);
    expect(node.stderr.join()).toContain('cannot load auxiliary chain "aux": cannot read "');
  });
});
