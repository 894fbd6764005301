/** multus for pods of a cluster: what their annotations ask for. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PARENT } from '../lab/lab.ts';
import { errorOf } from '../lab/printed.ts';
import { stateOf } from '../lab/state.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { applyNads } from './manifests.ts';
import { type ClusterPod, MultusLab, NETWORKS_KEY } from './multus-lab.ts';

let cluster: Cluster;
let lab: MultusLab;

beforeAll(async () => {
  cluster = await startCluster();
  await applyNads(cluster);
  lab = await MultusLab.open(cluster, cluster.kubeconfig('multus'));
});

afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
});

const macvlan = (name: string, more: object = {}) => ({
  cniVersion: '1.1.0',
  name,
  type: 'macvlan',
  master: PARENT,
  ...more,
});
const OWN = { delegates: [macvlan('own')] };
const OK = { exitCode: 0, signal: undefined };

const interfacesIn = async ({ netns }: ClusterPod): Promise<readonly string[]> =>
  (await stateOf(netns.name)).links.map(({ ifname }) => String(ifname));

describe('networks by annotation', () => {
  it('are attached after those of the configuration, and taken away without the API server being asked', async () => {
    await lab.define('lan', macvlan('lan'));
    await lab.define('wan', { cniVersion: '1.1.0', plugins: [macvlan('')] });
    const pod = await lab.pod({ [NETWORKS_KEY]: 'lan, default/wan@wan0' });
    const added = await lab.call('ADD', pod, OWN);
    expect(added).toMatchObject(OK);
    expect(await interfacesIn(pod)).toEqual(['lo', 'eth0', 'net1', 'wan0']);
    expect(await lab.call('CHECK', pod, OWN)).toMatchObject(OK);
    expect(await lab.call('DEL', pod, OWN, { more: { kubeconfig: '/nowhere' } })).toMatchObject({ ...OK, stderr: '' });
    expect(await interfacesIn(pod)).toEqual(['lo']);
  });

  it('fail the ADD when they are not there, before anything is attached', async () => {
    const pod = await lab.pod({ [NETWORKS_KEY]: 'lan,nowhere' });
    const { message } = errorOf(await lab.call('ADD', pod, OWN));
    expect(message).toContain(`Multus: [default/${pod.name}/${pod.uid}]: error loading k8s delegates k8s args: `);
    expect(message).toContain(
      'cannot find a network-attachment-definition (nowhere) in namespace (default): cannot get network-attachment-definitions',
    );
    expect(await interfacesIn(pod)).toEqual(['lo']);
  });
});
