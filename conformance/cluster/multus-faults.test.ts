/** Requests of an ADD that go wrong: the pod has its networks and shows them, or it has nothing at all. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PARENT } from '../lab/lab.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { FAULTS, type Fault, FaultProxy } from './fault-proxy.ts';
import { applyNads } from './manifests.ts';
import { type ClusterPod, MultusLab, NETWORKS_KEY } from './multus-lab.ts';

let cluster: Cluster;
let proxy: FaultProxy;
let lab: MultusLab;
/** An agent asks for less: see multus-resident.test.ts. */
let processes: MultusLab;

const macvlan = (name: string) => ({ cniVersion: '1.1.0', name, type: 'macvlan', master: PARENT });
const OWN = { delegates: [macvlan('own')] };
const OK = { exitCode: 0, signal: undefined };

beforeAll(async () => {
  cluster = await startCluster();
  await applyNads(cluster);
  proxy = await FaultProxy.open(cluster);
  const kubeconfig = cluster.kubeconfig('multus', { token: cluster.token, url: proxy.url });
  lab = await MultusLab.open({ ...cluster, url: proxy.url }, kubeconfig);
  processes = await MultusLab.open({ ...cluster, url: proxy.url }, kubeconfig, { isResident: false });
  for (const number of [1, 2, 3, 4, 5, 6, 7]) {
    await lab.define(`lan${number}`, macvlan(`lan${number}`));
  }
});

afterAll(async () => {
  await processes?.[Symbol.asyncDispose]();
  await lab?.[Symbol.asyncDispose]();
  await proxy?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
});

const linksIn = async ({ netns }: ClusterPod): Promise<readonly string[]> =>
  (JSON.parse(await lab.lab.ip(netns.name, '-j link')) as { ifname: string }[]).map(({ ifname }) => ifname);

async function expectNothing(pod: ClusterPod, of = lab): Promise<void> {
  const records = Object.keys(of.records()).filter((name) => !name.endsWith('/'));
  expect([await linksIn(pod), records]).toEqual([['lo'], []]);
}

describe('an ADD of multus', () => {
  it('makes a request for the pod, one for each network, one for the annotation, one for each event; DEL none', async () => {
    const names = [1, 2, 3, 4, 5, 6, 7].map((number) => `lan${number}`);
    const pod = await processes.pod({ [NETWORKS_KEY]: names.join(',') });
    proxy.expect(() => undefined);
    expect(await processes.call('ADD', pod, OWN)).toMatchObject(OK);
    expect(proxy.requests).toBe(1 + 7 + 1 + 8);
    proxy.expect(() => undefined);
    expect(await processes.call('CHECK', pod, OWN)).toMatchObject(OK);
    expect(await processes.call('DEL', pod, OWN)).toMatchObject(OK);
    expect(proxy.requests).toBe(0);
    await expectNothing(pod, processes);
  });

  const faults = FAULTS.filter((fault) => !fault.startsWith('killed'));
  const hopeless: readonly Fault[] = ['answered 422'];

  it.each(faults)('tells the cluster all the same where its first try is %s', async (fault) => {
    const pod = await lab.pod({ [NETWORKS_KEY]: 'lan1' });
    proxy.expect((_, kind) => ('write' in kind && kind.write <= 3 ? fault : undefined)); // the annotation and both events
    const { exitCode, stdout } = await lab.call('ADD', pod, OWN);
    proxy.expect(() => undefined);
    if (hopeless.includes(fault)) {
      expect(JSON.parse(stdout).msg).toContain('error setting the networks status: cannot patch pods/status');
      await expectNothing(pod);
      expect(await lab.status(pod)).toBeUndefined();
    } else {
      expect(exitCode).toBe(0);
      expect(JSON.parse((await lab.status(pod)) ?? '')).toMatchObject([{ interface: 'eth0' }, { interface: 'net1' }]);
      expect(await lab.events(pod)).toEqual([
        'Normal AddedInterface Add eth0 [] from own',
        'Normal AddedInterface Add net1 [] from default/lan1',
      ]);
      expect(await linksIn(pod)).toEqual(['lo', 'eth0', 'net1']);
    }
    expect(await lab.call('DEL', pod, OWN)).toMatchObject(OK);
    await expectNothing(pod);
  });

  const harmful = faults.filter((fault) => fault !== 'slow' && fault !== 'twice'); // two who ask are no harm

  it.each(harmful)('has the networks or nothing where what it asks first is %s', async (fault) => {
    const pod = await lab.pod({ [NETWORKS_KEY]: 'lan1' });
    proxy.expect((_, kind) => ('read' in kind && kind.read <= 2 ? fault : undefined)); // the pod and its network
    const { exitCode } = await lab.call('ADD', pod, OWN);
    proxy.expect(() => undefined);
    if (exitCode === 0) {
      expect(await linksIn(pod)).toEqual(['lo', 'eth0', 'net1']);
    } else {
      await expectNothing(pod);
    }
    expect(await lab.call('DEL', pod, OWN)).toMatchObject(OK);
    await expectNothing(pod);
  });
});
