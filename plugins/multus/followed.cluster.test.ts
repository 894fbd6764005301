import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../conformance/cluster/cluster.ts';
import { applyNads } from '../../conformance/cluster/manifests.ts';
import { createPod, createServiceAccount, deletePod, serviceAccountToken } from '../../conformance/cluster/objects.ts';
import { expectSuccess } from '../../conformance/cluster/request.ts';
import { eventually } from '../../conformance/lab/eventually.ts';
import { FollowedDefinitions, FollowedPods } from './followed.ts';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
  await applyNads(cluster);
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

const nad = (name: string, config: string) => ({
  apiVersion: 'k8s.cni.cncf.io/v1',
  kind: 'NetworkAttachmentDefinition',
  metadata: {
    name,
    namespace: 'default',
    annotations: {
      'k8s.v1.cni.cncf.io/resourceName': 'example.com/vf',
      'kubectl.kubernetes.io/last-applied-configuration': config,
    },
  },
  spec: { config },
});
const PATH = '/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions';
const put = (name: string, config: string) =>
  expectSuccess(
    cluster.send(`${PATH}/${name}?fieldManager=conformance&force=true`, {
      method: 'PATCH',
      body: nad(name, config),
      contentType: 'application/apply-patch+yaml',
    }),
  );

describe('definitions that an agent follows', () => {
  it('are asked for at first, and then known as they are', async () => {
    using followed = new FollowedDefinitions();
    const reached = { kubeconfig: cluster.kubeconfig('admin') };
    const known = async (name: string) => followed.get(reached, 'default', name);
    await put('one', '{"type":"a"}');
    expect(await known('one')).toBeUndefined();
    await eventually(async () => (await known('one'))?.spec?.config, '{"type":"a"}');
    expect((await known('one'))?.metadata.annotations).toEqual({ 'k8s.v1.cni.cncf.io/resourceName': 'example.com/vf' });
    await put('one', '{"type":"b"}');
    await eventually(async () => (await known('one'))?.spec?.config, '{"type":"b"}');
    await cluster.send(`${PATH}/one`, { method: 'DELETE' });
    await eventually(() => known('one'), undefined);
    await put('two', '{}');
    await eventually(async () => (await known('two'))?.spec?.config, '{}');
  });

  it('are asked for where they must not be listed', async () => {
    await createServiceAccount(cluster, 'nobody');
    const token = await serviceAccountToken(cluster, 'nobody');
    using followed = new FollowedDefinitions();
    const reached = { kubeconfig: cluster.kubeconfig('nobody', { token }) };
    await put('three', '{}');
    for (let looks = 0; looks < 20; looks++) {
      expect(followed.get(reached, 'default', 'three')).toBeUndefined();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });
});

describe('pods that an agent follows', () => {
  const asked = (name: string, uid: string) => ({ namespace: 'default', name, uid, infraContainerId: '' });
  const networks = (value: string) => ({ 'k8s.v1.cni.cncf.io/networks': value });
  const annotate = (name: string, value: string) =>
    expectSuccess(
      cluster.send(`/api/v1/namespaces/default/pods/${name}`, {
        method: 'PATCH',
        body: { metadata: { annotations: networks(value) } },
        contentType: 'application/merge-patch+json',
      }),
    );

  it('are those of the node that the first pod was on, as they are, by their UID', async () => {
    using followed = new FollowedPods();
    const reached = { kubeconfig: cluster.kubeconfig('admin') };
    const known = (name: string, uid: string) => followed.get(reached, asked(name, uid));
    const first = await createPod(cluster, { name: 'first', node: 'n1', annotations: networks('one') });
    const other = await createPod(cluster, { name: 'other', node: 'n2', annotations: networks('one') });
    expect(known('first', first)).toBeUndefined();
    followed.learn(reached, { metadata: { name: 'first' }, spec: { nodeName: 'n1' } });
    await eventually(async () => known('first', first)?.metadata.annotations, networks('one'));
    expect(Object.keys(known('first', first) ?? {}).sort()).toEqual(['metadata', 'spec', 'status']);
    expect(known('first', first)).toMatchObject({ metadata: { uid: first, namespace: 'default' }, status: {} });
    expect(known('first', first)?.spec).toEqual({ nodeName: 'n1' });
    expect(known('first', '')).toBeUndefined();
    expect(known('first', 'another')).toBeUndefined();
    expect(known('other', other)).toBeUndefined();
    await annotate('first', 'two');
    await eventually(async () => known('first', first)?.metadata.annotations, networks('two'));
    await deletePod(cluster, { name: 'first' });
    await eventually(async () => known('first', first), undefined);
    const second = await createPod(cluster, { name: 'first', node: 'n1', annotations: networks('three') });
    await eventually(async () => known('first', second)?.metadata.annotations, networks('three'));
    expect(known('first', first)).toBeUndefined();
    const found = followed.holdings().find(({ labels }) => labels?.['found'] === 'yes');
    expect(found).toMatchObject({ labels: { cache: 'pods' } });
    expect(found?.value).toBeGreaterThan(4);
  });

  it('are asked for where they must not be listed', async () => {
    const token = await serviceAccountToken(cluster, 'nobody');
    using followed = new FollowedPods();
    const reached = { kubeconfig: cluster.kubeconfig('nobody', { token }) };
    const uid = await createPod(cluster, { name: 'hidden', node: 'n1' });
    followed.learn(reached, { metadata: { name: 'hidden' }, spec: { nodeName: 'n1' } });
    for (let looks = 0; looks < 20; looks++) {
      expect(followed.get(reached, asked('hidden', uid))).toBeUndefined();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });
});
