import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readConf } from '../../../lib/cni/config.ts';
import { ApiError, type KubeApi, type KubeObject, type ObjectPath } from '../../../lib/kube/api.ts';
import { MultusConf } from '../config.ts';
import { annotatedNetworks } from './annotated.ts';
import { Definitions } from './definitions.ts';
import type { NadObject } from './objects.ts';

let confDir: string;
beforeEach(() => {
  confDir = mkdtempSync(join(tmpdir(), 'braid-annotated-'));
});
afterEach(() => rmSync(confDir, { recursive: true }));

/** A server that answers in an order of its own: the later asked, the sooner. */
function serverWith(definitions: Readonly<Record<string, Partial<NadObject>>>) {
  const asked: string[] = [];
  const get = async ({ namespace, name }: ObjectPath): Promise<KubeObject> => {
    const key = `${namespace}/${name}`;
    asked.push(key);
    await new Promise((resolve) => setTimeout(resolve, 20 - asked.length));
    const found = definitions[key];
    if (found === undefined) {
      throw new ApiError(
        `cannot get it: network-attachment-definitions.k8s.cni.cncf.io "${name}" not found (404 NotFound)`,
        {
          status: 404,
        },
      );
    }
    return { metadata: { name }, ...found };
  };
  return { asked, api: { get } as unknown as KubeApi };
}

const config = (document: object | string): Partial<NadObject> => ({
  spec: { config: typeof document === 'string' ? document : JSON.stringify(document) },
});
const ALPHA = config({ cniVersion: '1.0.0', type: 'alpha' });

async function networksOf(
  annotations: Readonly<Record<string, string>>,
  definitions: Readonly<Record<string, Partial<NadObject>>>,
  more: object = {},
) {
  const { api, asked } = serverWith(definitions);
  const conf = readConf(MultusConf, { delegates: [], ...more });
  const pod = { metadata: { name: 'web', namespace: 'demo', annotations } };
  const { first, more: others } = await annotatedNetworks(pod, conf, new Definitions(async () => api, confDir));
  return { asked, first: first?.plan(undefined), others: others.map((network) => network.plan('0000:01:00.1')) };
}

const NETWORKS = 'k8s.v1.cni.cncf.io/networks';
const DEFAULT = 'v1.multus-cni.io/default-network';

describe('networks by annotation', () => {
  it('keep their order, and one that is named twice is asked for once', async () => {
    const definitions = { 'demo/a': ALPHA, 'other/b': ALPHA };
    const { others, asked } = await networksOf({ [NETWORKS]: 'other/b,a,other/b@x0' }, definitions);
    expect(others.map(({ name }) => name)).toEqual(['other/b', 'demo/a', 'other/b']);
    expect(others.map(({ requests }) => requests.ifName)).toEqual([undefined, undefined, 'x0']);
    expect(asked.sort()).toEqual(['demo/a', 'other/b']);
  });

  it('get the name of their definition, unless they have one', async () => {
    const definitions = {
      'demo/a': config({ name: '', type: 'alpha' }),
      'demo/b': config({ name: 'own', type: 'alpha' }),
    };
    const { others } = await networksOf({ [NETWORKS]: 'a,b' }, definitions);
    expect(others.map(({ list }) => list.name)).toEqual(['a', 'own']);
    expect(others.map(({ name }) => name)).toEqual(['demo/a', 'demo/b']);
  });

  it('without a configuration have that of the folder, by its name', async () => {
    writeFileSync(join(confDir, '10-x.conf'), JSON.stringify({ name: 'x', type: 'beta' }));
    writeFileSync(join(confDir, '20-a.conf'), '{ "name": "a", "type": "gamma" }');
    const { others } = await networksOf({ [NETWORKS]: 'a' }, { 'demo/a': {} });
    expect(others[0]?.list.plugins[0]?.type).toBe('gamma');
    await expect(networksOf({ [NETWORKS]: 'b' }, { 'demo/b': {} })).rejects.toThrow(
      `cannot find a configuration with name "b" in "${confDir}"`,
    );
  });

  it('fail with the first that is not there', async () => {
    await expect(networksOf({ [NETWORKS]: 'a,b,c' }, { 'demo/a': ALPHA })).rejects.toThrow(
      'cannot find a network-attachment-definition (b) in namespace (demo): cannot get it: network-attachment-definitions.k8s.cni.cncf.io "b" not found',
    );
  });

  it.each([
    ['no JSON', '{', 'failed to unmarshal Spec.Config'],
    ['a list', '[]', 'failed to unmarshal Spec.Config: [] is not an object'],
    ['no plugins', '{"plugins":[]}', '"plugins": [] has no plugin'],
    ['multus itself', '{"type":"multus"}', 'multus would call itself'],
    ['a name that leads elsewhere', '{"type":"alpha","name":"../x"}', 'cannot use "name" "../x"'],
  ])('refuse %s', async (_, text, why) => {
    const loading = networksOf({ [NETWORKS]: 'a' }, { 'demo/a': config(text) });
    await expect(loading).rejects.toThrow(why);
  });
});

describe('namespace isolation', () => {
  const definitions = { 'demo/a': ALPHA, 'default/a': ALPHA, 'other/a': ALPHA, 'kube-system/a': ALPHA };
  const isolated = (annotations: Readonly<Record<string, string>>, more: object = {}) =>
    networksOf(annotations, definitions, { namespaceIsolation: true, ...more });
  const VIOLATION = 'namespace isolation enabled, annotation violates permission';

  it('leaves the own namespace, and the default one', async () => {
    expect((await isolated({ [NETWORKS]: 'a,demo/a@x,default/a' })).others).toHaveLength(3);
    await expect(isolated({ [NETWORKS]: 'a,other/a' })).rejects.toThrow(VIOLATION);
  });

  it('leaves those that are configured instead of the default one', async () => {
    const more = { globalNamespaces: 'x, other' };
    expect((await isolated({ [NETWORKS]: 'other/a' }, more)).others).toHaveLength(1);
    await expect(isolated({ [NETWORKS]: 'default/a' }, more)).rejects.toThrow(VIOLATION);
  });

  it('asks for nothing that is not allowed', async () => {
    await expect(isolated({ [NETWORKS]: 'a,secret/s' })).rejects.toThrow(VIOLATION);
  });

  it('holds for the default network too, unless it is switched off', async () => {
    expect((await isolated({ [DEFAULT]: 'a' })).first?.name).toBe('kube-system/a');
    await expect(isolated({ [DEFAULT]: 'other/a' })).rejects.toThrow(VIOLATION);
    expect((await isolated({ [DEFAULT]: 'other/a' }, { isolateDefaultNetwork: false })).first?.name).toBe('other/a');
  });

  it('lets an annotation name no device that the pod was not given, unless it is switched off', async () => {
    const device = '0000:02:00.1';
    const annotation = (name: string) => JSON.stringify([{ name, deviceID: device }]);
    const { others } = await isolated({ [NETWORKS]: annotation('a') });
    expect(others[0]?.requests.deviceId).toBe('0000:01:00.1'); // given
    const foreign = { [DEFAULT]: annotation('a') }; // no device for this one
    await expect(isolated(foreign)).rejects.toThrow(`${VIOLATION}: cannot use device "${device}" for network`);
    const open = [{ isolateDevices: false }, { namespaceIsolation: false }];
    for (const more of open) {
      expect((await isolated(foreign, more)).first?.requests.deviceId).toBe(device);
    }
  });
});

describe('the default network', () => {
  it('is one of the namespace of multus, with what is asked for', async () => {
    const annotation = JSON.stringify([{ name: 'a', interface: 'x0', mac: '02:00:00:00:00:01' }]);
    const { first } = await networksOf({ [DEFAULT]: annotation }, { 'infra/a': ALPHA }, { multusNamespace: 'infra' });
    expect(first).toMatchObject({ name: 'infra/a', requests: { ifName: 'x0', mac: '02:00:00:00:00:01' } });
  });

  it.each([
    ['', 'names no network'],
    ['[]', 'names no network'],
    ['a,b', 'names 2 networks'],
    ['[null]', 'is not an object'],
    ['missing', 'cannot find a network-attachment-definition (missing) in namespace (kube-system)'],
  ])('%j is refused', async (annotation, why) => {
    const loading = networksOf({ [DEFAULT]: annotation }, { 'kube-system/a': ALPHA, 'kube-system/b': ALPHA });
    await expect(loading).rejects.toThrow('error in loading K8s cluster default network from pod annotation: ');
    await expect(loading).rejects.toThrow(why);
  });
});
