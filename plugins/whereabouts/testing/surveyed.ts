import type { JsonObject } from '../../../lib/cni/json.ts';
import type { KubeApi } from '../../../lib/kube/api.ts';
import { poolObject, reservationObject } from '../cluster/objects.ts';
import type { Cluster } from '../survey/clusters.ts';
import type { FakeKube } from './fake-kube.ts';

/** A cluster that is reached by a kubeconfig of this name. */
export const clusterAt = (api: KubeApi, name = '/k'): Cluster => ({
  name,
  kubeconfigs: [name],
  server: 'https://cluster',
  api,
  [Symbol.dispose]: () => undefined,
});

/** Puts a pool there, as the Go plugin writes it: `lab/a net1 idA` by key. */
export function putPool(kube: FakeKube, name: string, range: string, entries: Readonly<Record<string, string>>): void {
  const allocations = Object.fromEntries(
    Object.entries(entries).map(([key, text]) => {
      const [podref = '', ifname = '', id = ''] = text.split(' ');
      return [key, { id, podref, ifname }];
    }),
  );
  kube.put('ippools', poolObject(kube.namespace, name, { range, allocations }));
}

/** Puts a reservation there, as the Go plugin writes it. */
export function putReservation(kube: FakeKube, name: string, podref: string, ageMs = 3_600_000): void {
  const object = reservationObject(kube.namespace, name, '', { podref, ifname: 'net1' });
  const creationTimestamp = new Date(Date.now() - ageMs).toISOString();
  kube.put('overlappingrangeipreservations', {
    ...object,
    metadata: { name, namespace: kube.namespace, creationTimestamp },
  });
}

export function putPod(kube: FakeKube, podref: string, ...ips: readonly string[]): void {
  const [namespace = '', name = ''] = podref.split('/');
  const status = JSON.stringify([{ name: 'lab/n', interface: 'net1', ips }]);
  const annotations = { 'k8s.v1.cni.cncf.io/network-status': status };
  kube.put('pods', {
    metadata: { name, namespace, creationTimestamp: '2020-01-01T00:00:00Z', ...(ips.length > 0 && { annotations }) },
  });
}

/** A NetworkAttachmentDefinition. */
export const putNad = (kube: FakeKube, name: string, ipam: JsonObject): void => {
  const config = JSON.stringify({ cniVersion: '1.0.0', name, type: 'macvlan', ipam: { type: 'whereabouts', ...ipam } });
  kube.put('network-attachment-definitions', { metadata: { name }, spec: { config } } as never);
};

/** A table of slices: `node slice` each. */
export const putSlices = (kube: FakeKube, name: string, range: string, ...slices: readonly string[]): void => {
  const allocations = slices.map((text) => {
    const [nodeName = '', sliceRange = ''] = text.split(' ');
    return { nodeName: nodeName === '-' ? '' : nodeName, sliceRange };
  });
  kube.put('nodeslicepools', {
    metadata: { name },
    spec: { range, sliceSize: '/26' },
    status: { allocations },
  } as never);
};
