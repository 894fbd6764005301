import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../../conformance/cluster/cluster.ts';
import { setPodStatus } from '../../../conformance/cluster/objects.ts';
import { expectSuccess } from '../../../conformance/cluster/request.ts';
import { type KubeClient, openClient } from '../../../lib/kube/client.ts';
import { readKubeconfig } from '../../../lib/kube/kubeconfig.ts';
import { clockOf } from '../../../lib/sys/clock.ts';
import { PODS, type PodObject } from '../cluster/objects.ts';
import { claimedDevices } from './claims.ts';
import { type SliceParts, slice } from './testing/fake-claims.ts';

const DRA = '/apis/resource.k8s.io/v1';
const CLAIMS = `${DRA}/namespaces/default/resourceclaims`;
const DRIVER = 'vf.example.com';

let cluster: Cluster;
let client: KubeClient;

beforeAll(async () => {
  cluster = await startCluster();
  client = await openClient(() => readKubeconfig(cluster.kubeconfig('admin')), {
    namespace: 'kube-system',
    timeoutMs: 30_000,
  });
});

afterAll(async () => {
  client?.[Symbol.dispose]();
  await cluster?.[Symbol.asyncDispose]();
});

/** Publishes devices, as a driver does. */
async function publish(parts: SliceParts): Promise<void> {
  const body = slice({ driver: DRIVER, pool: 'pool/of-n1', ...parts });
  await expectSuccess(cluster.send(`${DRA}/resourceslices`, { method: 'POST', body }));
}

/** A claim that the scheduler has allocated: devices by the request that they are for. */
async function allocate(name: string, devices: readonly (readonly [request: string, device: string])[]): Promise<void> {
  const requests = [...new Set(devices.map(([request]) => request))].map((request) => ({
    name: request,
    exactly: { deviceClassName: 'vf', allocationMode: 'ExactCount', count: 1 },
  }));
  const results = devices.map(([request, device]) => ({ request, driver: DRIVER, pool: 'pool/of-n1', device }));
  const claim = await expectSuccess<object>(
    cluster.send(CLAIMS, { method: 'POST', body: { metadata: { name }, spec: { devices: { requests } } } }),
  );
  const status = { allocation: { devices: { results } } };
  await expectSuccess(cluster.send(`${CLAIMS}/${name}/status`, { method: 'PUT', body: { ...claim, status } }));
}

async function createPod(name: string, spec: object, status: object): Promise<PodObject> {
  const body = {
    metadata: { name },
    spec: { nodeName: 'n1', containers: [{ name: 'main', image: 'none' }], ...spec },
  };
  await expectSuccess(cluster.send('/api/v1/namespaces/default/pods', { method: 'POST', body }));
  await setPodStatus(cluster, { name }, status);
  return client.api().get<PodObject>({ resource: PODS, namespace: 'default', name });
}

async function devicesOf(pod: PodObject): Promise<object> {
  const wanted = new Set(['example.com/x', 'example.com/y']);
  const parts = { api: client.api(), pod, wanted, warn: (message: string) => expect(message).toBe('') };
  return Object.fromEntries(await claimedDevices(clockOf(), parts));
}

describe('claimedDevices of a real API server', () => {
  beforeAll(async () => {
    await publish({
      devices: [
        ['vf-0', '0000:01:10.0', 'example.com/x'],
        ['vf-1', '0000:01:10.1', 'example.com/x'],
        ['vf-2', '0000:01:10.2', 'example.com/y'],
      ],
    });
    await publish({ node: 'n2', devices: [['vf-0', 'of another node', 'example.com/x']] });
    await publish({ driver: 'other.example.com', devices: [['vf-0', 'of another driver', 'example.com/x']] });
  });

  it('finds those of claims by name and of claims from templates', async () => {
    await allocate('named', [['r', 'vf-1']]);
    await allocate('pod-made-x7f', [
      ['b', 'vf-2'],
      ['a', 'vf-0'],
    ]);
    const resourceClaims = [
      { name: 'made', resourceClaimTemplateName: 'template' },
      { name: 'own', resourceClaimName: 'named' },
    ];
    const status = { resourceClaimStatuses: [{ name: 'made', resourceClaimName: 'pod-made-x7f' }] };
    const pod = await createPod('claiming', { resourceClaims }, status);
    expect(await devicesOf(pod)).toEqual({
      'example.com/x': ['0000:01:10.0', '0000:01:10.1'],
      'example.com/y': ['0000:01:10.2'],
    });
  });

  it('finds those of extended resources', async () => {
    await allocate('extended', [['container-0-request-0', 'vf-2']]);
    const containers = [{ name: 'main', image: 'none', resources: { limits: { 'example.com/y': '1' } } }];
    const mapping = { containerName: 'main', resourceName: 'example.com/y', requestName: 'container-0-request-0' };
    const pod = await createPod(
      'extended',
      { containers },
      { extendedResourceClaimStatus: { resourceClaimName: 'extended', requestMappings: [mapping] } },
    );
    expect(await devicesOf(pod)).toEqual({ 'example.com/y': ['0000:01:10.2'] });
  });

  it('says which claim there is not', async () => {
    const pod = await createPod('lost', { resourceClaims: [{ name: 'own', resourceClaimName: 'nowhere' }] }, {});
    await expect(devicesOf(pod)).rejects.toThrow(/resourceclaims.*"nowhere" not found/);
  });
});
