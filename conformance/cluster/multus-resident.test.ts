/** multus in an agent: what it follows it does not ask for, and what it knows is what is so. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../lab/eventually.ts';
import { PARENT } from '../lab/lab.ts';
import { errorOf } from '../lab/printed.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { FaultProxy } from './fault-proxy.ts';
import { applyNads } from './manifests.ts';
import { type ClusterPod, MultusLab, NETWORKS_KEY } from './multus-lab.ts';
import { createPod } from './objects.ts';

let cluster: Cluster;
let proxy: FaultProxy;
let lab: MultusLab;

const macvlan = (name: string) => ({ cniVersion: '1.1.0', name, type: 'macvlan', master: PARENT });
const OWN = { delegates: [macvlan('own')] };
const OK = { exitCode: 0, signal: undefined };
const NODE = 'n1';
const STATUS = 1;
const EVENTS_OF_FOUR = 4;
/** On a machine with far too much to do: it begins when it is first called. */
const FOLLOWED_MS = 120_000;

beforeAll(async () => {
  cluster = await startCluster();
  await applyNads(cluster);
  proxy = await FaultProxy.open(cluster);
  const kubeconfig = cluster.kubeconfig('multus', { token: cluster.token, url: proxy.url });
  lab = await MultusLab.open({ ...cluster, url: proxy.url }, kubeconfig, { isResident: true });
  for (const number of [1, 2, 3]) {
    await lab.define(`lan${number}`, macvlan(`lan${number}`));
  }
});

afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
  await proxy?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
});

const threeNetworks = (): Promise<ClusterPod> => lab.pod({ [NETWORKS_KEY]: 'lan1,lan2,lan3' }, 'default', NODE);

/** @returns how many requests an ADD made */
async function added(pod: ClusterPod): Promise<number> {
  proxy.expect(() => undefined);
  expect(await lab.call('ADD', pod, OWN)).toMatchObject(OK);
  return proxy.requests;
}

const interfacesOf = async (pod: ClusterPod): Promise<readonly string[]> =>
  (JSON.parse((await lab.status(pod)) ?? '[]') as { interface: string }[]).map((one) => one.interface);

describe('an agent that follows a cluster', () => {
  it('asks for nothing that it knows: an ADD writes status and events', { timeout: 2 * FOLLOWED_MS }, async () => {
    await eventually(
      async () => {
        const pod = await threeNetworks();
        const requests = await added(pod);
        expect(await interfacesOf(pod)).toEqual(['eth0', 'net1', 'net2', 'net3']);
        expect(await lab.call('DEL', pod, OWN)).toMatchObject(OK);
        return requests;
      },
      STATUS + EVENTS_OF_FOUR,
      FOLLOWED_MS,
    );
  });

  it('attaches what a pod asks for now, and knows pods that have come back by their UID', async () => {
    const pod = await threeNetworks();
    await lab.deletePod(pod);
    const uid = await createPod(cluster, { name: pod.name, node: NODE, annotations: { [NETWORKS_KEY]: 'lan2' } });
    const error = errorOf(await lab.call('ADD', pod, OWN));
    expect(error.message).toContain(`expected pod UID "${pod.uid}" but got "${uid}" from Kube API`);
    const again = { ...pod, uid };
    expect(await added(again)).toBeGreaterThan(0);
    expect(await interfacesOf(again)).toEqual(['eth0', 'net1']);
    expect(await lab.call('DEL', again, OWN)).toMatchObject(OK);
  });
});
