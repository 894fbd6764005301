import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../conformance/cluster/cluster.ts';
import { applyCrds, applyRbac } from '../../conformance/cluster/manifests.ts';
import { createPod, serviceAccountToken } from '../../conformance/cluster/objects.ts';
import { certify, makeAuthority } from '../testing/certificates.ts';
import {
  ApiError,
  type CollectionPath,
  type JsonPatch,
  type KubeApi,
  type KubeObject,
  type ObjectPath,
} from './api.ts';
import { type ClientOptions, type KubeClient, openClient } from './client.ts';
import { readKubeconfig } from './kubeconfig.ts';
import { CONFIG_MAPS, configMap } from './testing/objects.ts';

const clients = makeAuthority('clients');
let cluster: Cluster;
let client: KubeClient;
let api: KubeApi;

beforeAll(async () => {
  cluster = await startCluster({ clientCa: clients.certificate });
  await Promise.all([applyCrds(cluster), applyRbac(cluster)]);
  client = await open(cluster.kubeconfig('admin'));
  api = client.api();
});

afterAll(async () => {
  client?.[Symbol.dispose]();
  await cluster?.[Symbol.asyncDispose]();
});

const open = (kubeconfig: string, options: Partial<ClientOptions> = {}): Promise<KubeClient> =>
  openClient(() => readKubeconfig(kubeconfig), { namespace: 'kube-system', timeoutMs: 30_000, ...options });

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

interface Pool extends KubeObject {
  readonly spec: { readonly range: string; readonly allocations: Readonly<Record<string, object>> };
}

const POOLS: CollectionPath = {
  resource: { group: 'whereabouts.cni.cncf.io', version: 'v1alpha1', plural: 'ippools' },
  namespace: 'kube-system',
};
const pool = (name: string): ObjectPath => ({ ...POOLS, name });

const aPool = (name: string, allocations: Readonly<Record<string, object>> = {}): Pool => ({
  apiVersion: 'whereabouts.cni.cncf.io/v1alpha1',
  kind: 'IPPool',
  metadata: { name },
  spec: { range: '192.0.2.0/24', allocations },
});

const entry = (interfaceName: string) => ({ id: 'c0ffee', podref: 'default/a', ifname: interfaceName });

async function errorOf(promise: Promise<unknown>): Promise<ApiError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ApiError);
  return error as ApiError;
}

describe('a client of a real API server', () => {
  it('creates, gets, patches in three ways and deletes', async () => {
    const created = await api.create<ConfigMap>(CONFIG_MAPS, { metadata: { name: 'verbs' }, data: { a: '1' } });
    expect(created.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(await api.get(configMap('verbs'))).toEqual(created);
    const json = { type: 'json', body: [{ op: 'replace', path: '/data/a', value: '2' }] } as const;
    expect((await api.patch<ConfigMap>(configMap('verbs'), json)).data).toEqual({ a: '2' });
    const merge = { type: 'merge', body: { data: { b: '3' } } } as const;
    expect((await api.patch<ConfigMap>(configMap('verbs'), merge)).data).toEqual({ a: '2', b: '3' });
    const brief = await api.patch<ConfigMap>(configMap('verbs'), { ...merge, isAnswerBrief: true });
    expect(brief.metadata.uid).toBe(created.metadata.uid);
    expect(brief).not.toHaveProperty('data');
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'verbs' }, data: { a: '4' } };
    const apply = { type: 'apply', body, fieldManager: 'another' } as const;
    expect(await errorOf(api.patch(configMap('verbs'), apply))).toMatchObject({ status: 409, reason: 'Conflict' });
    const forced = await api.patch<ConfigMap>(configMap('verbs'), { ...apply, force: true });
    expect(forced.data).toEqual({ a: '4', b: '3' });
    const stale = { uid: created.metadata.uid ?? '', resourceVersion: created.metadata.resourceVersion ?? '' };
    expect(await errorOf(api.delete(configMap('verbs'), stale))).toMatchObject({ status: 409, reason: 'Conflict' });
    await api.delete(configMap('verbs'), { uid: stale.uid });
    expect(await errorOf(api.get(configMap('verbs')))).toMatchObject({ status: 404, reason: 'NotFound' });
  });

  it('writes the status of a pod, and only of the one that it means', async () => {
    const uid = await createPod(cluster, { name: 'a', status: { phase: 'Running', podIP: '198.51.100.7' } });
    const resource = { group: '', version: 'v1', plural: 'pods' };
    const path = { resource, namespace: 'default', name: 'a', subresource: 'status' };
    const annotations = { 'k8s.v1.cni.cncf.io/network-status': '[]' };
    const patched = await api.patch<KubeObject & { readonly status: object }>(path, {
      type: 'merge',
      body: { metadata: { uid, annotations } },
    });
    expect(patched.metadata.annotations).toEqual(annotations);
    expect(patched.status).toMatchObject({ phase: 'Running', podIP: '198.51.100.7' });
    const other = { type: 'merge', body: { metadata: { uid: 'another', annotations } } } as const;
    expect(await errorOf(api.patch(path, other))).toMatchObject({ status: 422, reason: 'Invalid' });
  });

  it('is called braid by the server', async () => {
    await api.create<ConfigMap>(CONFIG_MAPS, { metadata: { name: 'managed' }, data: { a: '0' } });
    await api.patch(configMap('managed'), { type: 'merge', body: { data: { a: '1' } } });
    const { metadata } = await api.get<KubeObject & { readonly metadata: { readonly managedFields?: object[] } }>(
      configMap('managed'),
    );
    expect(metadata.managedFields).toMatchObject([{ manager: 'braid', operation: 'Update' }]);
  });

  it('lists 1,200 objects in pages, those of all namespaces, and those of a label', async () => {
    const names = Array.from({ length: 1_200 }, (_, number) => `many-${String(number).padStart(4, '0')}`);
    await Promise.all(
      names.map((name, number) =>
        api.create(CONFIG_MAPS, {
          metadata: { name, labels: { many: 'yes', ...(number % 100 === 0 ? { hundred: 'yes' } : {}) } },
        }),
      ),
    );
    const namesIn = (found: readonly KubeObject[]): readonly string[] => found.map(({ metadata }) => metadata.name);
    expect(namesIn(await api.list(CONFIG_MAPS, { labelSelector: 'many=yes' }))).toEqual(names);
    const everywhere = { ...CONFIG_MAPS, namespace: undefined };
    expect(namesIn(await api.list(everywhere, { labelSelector: 'many' }))).toEqual(names);
    expect(await api.list(CONFIG_MAPS, { labelSelector: 'hundred=yes' })).toHaveLength(12);
    const one = await api.list<ConfigMap>(CONFIG_MAPS, { fieldSelector: 'metadata.name=many-0007' });
    expect(namesIn(one)).toEqual(['many-0007']);
    using small = await open(cluster.kubeconfig('admin'), { pageSize: 7, connections: 1 });
    expect(namesIn(await small.api().list(CONFIG_MAPS, { labelSelector: 'many=yes' }))).toEqual(names);
  });
});

describe('JSON patches of a pool', () => {
  const take = (key: string, interfaceName: string): JsonPatch => [
    { op: 'test', path: '/spec/range', value: '192.0.2.0/24' },
    { op: 'test', path: `/spec/allocations/${key}`, value: null },
    { op: 'add', path: `/spec/allocations/${key}`, value: entry(interfaceName) },
  ];
  const give = (key: string, interfaceName: string): JsonPatch => [
    { op: 'test', path: `/spec/allocations/${key}/id`, value: 'c0ffee' },
    { op: 'test', path: `/spec/allocations/${key}/ifname`, value: interfaceName },
    { op: 'remove', path: `/spec/allocations/${key}` },
  ];
  const patch = (name: string, body: JsonPatch): Promise<Pool> => api.patch<Pool>(pool(name), { type: 'json', body });

  it('take a key that is free and give it back, each once', async () => {
    await api.create(POOLS, aPool('once'));
    expect((await patch('once', take('1', 'net1'))).spec.allocations).toEqual({ '1': entry('net1') });
    const taken = await errorOf(patch('once', take('1', 'net2')));
    expect(taken).toMatchObject({ status: 422, reason: 'Invalid', isOutcomeUnknown: false });
    expect(taken.message).toBe(
      'cannot patch ippools "once" in "kube-system": the server rejected our request due to an error in our request (422 Invalid)',
    );
    expect(await errorOf(patch('once', give('1', 'net2')))).toMatchObject({ status: 422 });
    expect((await patch('once', give('1', 'net1'))).spec.allocations).toEqual({});
    expect(await errorOf(patch('once', give('1', 'net1')))).toMatchObject({ status: 422 });
  });

  it('are all or nothing', async () => {
    await api.create(POOLS, aPool('whole', { '2': entry('net2') }));
    await errorOf(patch('whole', [...take('1', 'net1'), ...take('2', 'net3')]));
    expect((await api.get<Pool>(pool('whole'))).spec.allocations).toEqual({ '2': entry('net2') });
  });

  it('give a key to one of many who want it at once', async () => {
    await api.create(POOLS, aPool('race'));
    const outcomes = await Promise.allSettled(
      Array.from({ length: 32 }, (_, n) => patch('race', take('1', `net${n}`))),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const errors = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as ApiError] : []));
    expect(new Set(errors.map(({ status }) => status))).toEqual(new Set([422]));
  });

  it('of many at once for different keys all succeed', async () => {
    await api.create(POOLS, aPool('crowd'));
    await Promise.all(Array.from({ length: 32 }, (_, n) => patch('crowd', take(String(n + 1), `net${n}`))));
    expect(Object.keys((await api.get<Pool>(pool('crowd'))).spec.allocations)).toHaveLength(32);
  });

  it('of an absent pool are not found, and invalid ones say what is wrong', async () => {
    expect(await errorOf(patch('none', take('1', 'net1')))).toMatchObject({ status: 404, reason: 'NotFound' });
    const { message } = await errorOf(api.create(POOLS, aPool('bad', { '1': { id: 'x' } })));
    expect(message).toContain('spec.allocations.1.podref: Required value (422 Invalid)');
    expect(await errorOf(api.create(POOLS, aPool('-bad')))).toMatchObject({ status: 422, reason: 'Invalid' });
    await api.create(POOLS, aPool('twice'));
    expect(await errorOf(api.create(POOLS, aPool('twice')))).toMatchObject({ status: 409, reason: 'AlreadyExists' });
  });

  it('with a resourceVersion that is old are a conflict when they replace it', async () => {
    const { metadata } = await api.create<Pool>(POOLS, aPool('version'));
    await patch('version', take('1', 'net1'));
    const version = { path: '/metadata/resourceVersion', value: metadata.resourceVersion } as const;
    expect(await errorOf(patch('version', [{ op: 'test', ...version }]))).toMatchObject({ status: 422 });
    expect(await errorOf(patch('version', [{ op: 'replace', ...version }]))).toMatchObject({ status: 409 });
  });
});

describe('access to a real API server', () => {
  it('with the token of the service account is what the manifest grants, and no more', async () => {
    const token = await serviceAccountToken(cluster, 'braid-whereabouts');
    using limited = await open(cluster.kubeconfig('account', { token, namespace: 'here' }));
    const own = limited.api();
    expect(own.namespace).toBe('here');
    await own.create(POOLS, aPool('granted'));
    await own.delete(pool('granted'));
    const error = await errorOf(own.list(CONFIG_MAPS));
    expect(error).toMatchObject({ status: 403, reason: 'Forbidden', isOutcomeUnknown: false });
    expect(error.message).toContain('User "system:serviceaccount:kube-system:braid-whereabouts" cannot list resource');
  });

  it('with a token that is none is unauthorized, until the file has a good one', async () => {
    const path = cluster.kubeconfig('renewed', { token: 'bogus' });
    using renewed = await open(path);
    const error = await errorOf(renewed.api().get(pool('any')));
    expect(error).toMatchObject({ status: 401, reason: 'Unauthorized' });
    cluster.kubeconfig('renewed');
    expect(await errorOf(renewed.api().get(pool('any')))).toMatchObject({ status: 404 });
  });

  it('is possible with a client certificate', async () => {
    const { certificate, key } = certify({ name: 'me', organization: 'system:masters' }, clients);
    const read = async () => {
      const access = await readKubeconfig(cluster.kubeconfig('certificate'));
      return { ...access, token: undefined, tls: { ...access.tls, certificate, key } };
    };
    using certified = await openClient(read, { namespace: 'kube-system' });
    expect(await certified.api().list(POOLS)).toBeInstanceOf(Array);
  });

  it('to a kind of objects that the server does not know is said to need a CRD', async () => {
    const resource = { group: 'k8s.cni.cncf.io', version: 'v1', plural: 'network-attachment-definitions' };
    const { status, reason, message } = await errorOf(api.get({ resource, namespace: 'default', name: 'a' }));
    expect([status, reason]).toEqual([404, '']);
    expect(message).toContain('is its CRD installed');
  });

  it('is over TLS, which a plain client is told', async () => {
    const access = await readKubeconfig(cluster.kubeconfig('plain'));
    using plain = await openClient(async () => ({ ...access, server: cluster.url.replace('https', 'http') }), {
      namespace: 'kube-system',
    });
    expect((await errorOf(plain.api().get(pool('any')))).message).toContain('its URL must begin with https://');
  });

  it('survives a restart of the server', async () => {
    await api.create(POOLS, aPool('kept'));
    await cluster.restart('kill');
    expect((await api.get<Pool>(pool('kept'))).metadata.name).toBe('kept');
    await api.patch(pool('kept'), { type: 'merge', body: { metadata: { labels: { a: 'b' } } } });
  });
});
