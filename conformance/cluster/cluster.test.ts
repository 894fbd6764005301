import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from './cluster.ts';
import { apply, applyCrds, deployFiles, manifestsIn, type Variant } from './manifests.ts';
import { createPod, createServiceAccount, deletePod, serviceAccountToken } from './objects.ts';
import { expectSuccess, senderTo } from './request.ts';

const POOLS = '/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/ippools';
const RESERVATIONS = POOLS.replace('ippools', 'overlappingrangeipreservations');

interface Stored {
  readonly spec: object;
  readonly metadata: { readonly managedFields: readonly { readonly fieldsV1: object }[] };
}

const entry = { id: 'c0ffee', podref: 'lab/a', ifname: 'net1' };

const makePool = (cluster: Cluster): Promise<Stored> =>
  expectSuccess<Stored>(
    cluster.send(POOLS, {
      method: 'POST',
      body: {
        apiVersion: 'whereabouts.cni.cncf.io/v1alpha1',
        kind: 'IPPool',
        metadata: { name: 'a' },
        spec: { range: '192.0.2.0/24', allocations: { 1: entry } },
      },
    }),
  );

describe('the cluster of the tests', () => {
  it('leaves neither processes nor files, and survives a restart of its API server', async () => {
    const cluster = await startCluster();
    await createPod(cluster, { name: 'a', node: 'n1', status: { phase: 'Running' } });
    await cluster.restart();
    const pod = await expectSuccess(cluster.send('/api/v1/namespaces/default/pods/a'));
    expect(pod).toMatchObject({ spec: { nodeName: 'n1' }, status: { phase: 'Running' } });
    await deletePod(cluster, { name: 'a' });
    expect((await cluster.send('/api/v1/namespaces/default/pods/a')).status).toBe(404);
    const pids = [cluster.etcd.pid, cluster.apiServer().pid];
    await cluster[Symbol.asyncDispose]();
    expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
    expect(existsSync(cluster.folder)).toBe(false);
  });

  it.each([
    ['RBAC', 403],
    ['AlwaysAllow', 200],
  ] as const)('with %s answers %i to an account without a role', async (authorization, status) => {
    await using cluster = await startCluster({ authorization });
    await createServiceAccount(cluster, 'nobody');
    const token = await serviceAccountToken(cluster, 'nobody');
    using send = senderTo({ ...cluster, token });
    expect((await send('/api/v1/pods')).status).toBe(status);
  });
});

describe('the manifests', () => {
  it('are accepted by the API server, also a second time, and let old reservations in', async () => {
    await using cluster = await startCluster();
    await applyCrds(cluster);
    for (const file of deployFiles()) {
      for (const manifest of [...manifestsIn(file), ...manifestsIn(file)]) {
        await apply(cluster, manifest);
      }
    }
    const today = { podref: 'lab/a', ifname: 'net1' };
    for (const [number, spec] of [today, { podref: 'lab/a' }, { podref: 'lab/a', containerid: 'c0ffee' }].entries()) {
      const body = {
        apiVersion: 'whereabouts.cni.cncf.io/v1alpha1',
        kind: 'OverlappingRangeIPReservation',
        metadata: { name: `192.0.2.${number}` },
        spec,
      };
      expect((await expectSuccess<Stored>(cluster.send(RESERVATIONS, { method: 'POST', body }))).spec).toEqual(spec);
    }
  });

  it.each([
    ['ours', { 1: entry }, false],
    ['go', { 1: entry }, true],
    ['old', { 1: { id: 'c0ffee', podref: 'lab/a' } }, true],
  ] as const)('as %s keep what they should of an entry', async (variant: Variant, allocations, isTracked) => {
    await using cluster = await startCluster();
    await applyCrds(cluster, variant);
    const { spec, metadata } = await makePool(cluster);
    expect(spec).toEqual({ range: '192.0.2.0/24', allocations });
    // The server knows the owner of each address, or of all together.
    expect(JSON.stringify(metadata.managedFields).includes('"f:1"')).toBe(isTracked);
  });
});
