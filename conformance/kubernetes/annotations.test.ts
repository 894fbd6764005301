/** Pods that ask for networks by annotation, on two nodes; confs as they are published. */
import { readFileSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { voidableToken } from '../cluster/objects.ts';
import { senderTo } from '../cluster/request.ts';
import { until } from '../containerd/poll.ts';
import { CNI_BIN, CNI_CONF, MANIFESTS } from './configs.ts';
import { leavesNothing } from './everything.ts';
import { Kubernetes } from './kubernetes.ts';
import { applyNetwork, installMultus } from './multus.ts';
import { conflist, macvlan, POD_NETWORK, whereabouts } from './networks.ts';
import {
  addressOn,
  createPods,
  eventsOf,
  NETWORKS,
  networkStatusOf,
  podSpec,
  reach,
  removePods,
  running,
  runPods,
  untilPods,
  untilReady,
} from './pods.ts';
import { taken } from './pools.ts';
import { API_PORT, DEVICES, RAILS, SERVICE_ADDRESS } from './wires.ts';

const COUNTS = [1, 3, 8, 16] as const;
const MOST = Math.max(...COUNTS);

let kubernetes: Kubernetes;

beforeAll(async () => {
  kubernetes = await Kubernetes.start({ nodes: 2 });
  await installMultus(kubernetes);
  for (let index = 0; index < MOST; index++) {
    await applyNetwork(kubernetes, `net-${index}`, {
      cniVersion: '0.3.1',
      type: 'macvlan',
      master: RAILS[index % RAILS.length],
      mode: 'bridge',
      ipam: whereabouts(`10.7.${index}.0/24`),
    });
  }
  for (const [index, device] of DEVICES.entries()) {
    await applyNetwork(kubernetes, `device-${index}`, {
      cniVersion: '0.3.1',
      type: 'host-device',
      device,
      ipam: whereabouts(`10.8.${index}.0/24`),
    });
  }
});

afterAll(() => kubernetes?.[Symbol.asyncDispose]());

const named = (prefix: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`);

const pair = (networks: readonly string[]) =>
  ['n1', 'n2'].map((node) => ({ name: `on-${node}`, node, annotations: { [NETWORKS]: networks.join(', ') } }));

const both = async () => [await running(kubernetes, 'on-n1'), await running(kubernetes, 'on-n2')] as const;

describe('macvlan with pools of the cluster, on two nodes', () => {
  it.each(COUNTS)('%i networks: addresses of shared pools, a status for each, traffic over each', async (count) => {
    await leavesNothing(kubernetes, async () => {
      const pods = await runPods(kubernetes, pair(named('net', count)));
      const sandboxes = await both();
      for (const [index, pod] of pods.entries()) {
        const sandbox = sandboxes[index] ?? sandboxes[0];
        const [own, ...networks] = networkStatusOf(pod);
        expect(own).toMatchObject({ name: 'pods', interface: 'eth0', ips: [pod.status.podIP], default: true });
        expect(networks).toHaveLength(count);
        for (const [at, status] of networks.entries()) {
          const ifName = `net${at + 1}`;
          expect(status).toMatchObject({ name: `default/net-${at}`, interface: ifName, dns: {} });
          expect(status.ips).toEqual([await addressOn(sandbox, ifName)]);
        }
      }
      const [a, b] = sandboxes;
      for (let index = 0; index < count; index++) {
        await reach(a, b, `net${index + 1}`);
      }
      expect(await taken(kubernetes)).toHaveLength(2 * (count + 1));
      expect(await eventsOf(kubernetes, 'on-n1')).toContain(
        `AddedInterface: Add net1 [${await addressOn(a, 'net1')}/24] from default/net-0`,
      );
      await removePods(kubernetes);
    });
  });

  it('names of interfaces, and the syntax with more words', async () => {
    await leavesNothing(kubernetes, async () => {
      const networks = JSON.stringify([
        { name: 'net-0', interface: 'storage' },
        { name: 'net-1', namespace: 'default' },
      ]);
      const pods = await runPods(kubernetes, pair([networks]));
      expect(pods.map((pod) => networkStatusOf(pod).map((status) => status.interface))).toEqual([
        ['eth0', 'storage', 'net2'],
        ['eth0', 'storage', 'net2'],
      ]);
      const [a, b] = await both();
      await reach(a, b, 'storage');
      await reach(b, a, 'net2');
      await removePods(kubernetes);
    });
  });
});

it('a network that comes after its pod: the pod says what it lacks, and starts when it is there', async () => {
  await leavesNothing(kubernetes, async () => {
    await createPods(kubernetes, [{ name: 'early', node: 'n1', annotations: { [NETWORKS]: 'net-0, late' } }]);
    await until('the event', async () => {
      const events = await eventsOf(kubernetes, 'early');
      return events.find((line) => /^NoNetworkFound: .*\(late\) in namespace \(default\)/.test(line));
    });
    expect(await taken(kubernetes)).toEqual([]);
    await applyNetwork(kubernetes, 'late', { cniVersion: '0.3.1', ...macvlan('rail1', '10.9.0.0/24') });
    const [pod] = await untilReady(kubernetes, ['early']);
    expect(pod && networkStatusOf(pod)[2]).toMatchObject({ name: 'default/late', interface: 'net2' });
    await removePods(kubernetes);
  });
});

it('a static pod has the networks that its file asks for, until the file is gone', async () => {
  const node = kubernetes.node('n1');
  const file = `${MANIFESTS}/static.json`;
  await leavesNothing(kubernetes, async () => {
    const metadata = { name: 'static', namespace: 'default', annotations: { [NETWORKS]: 'net-0, net-1' } };
    await node.write(file, JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata, spec: podSpec() }));
    const [pod] = await untilReady(kubernetes, ['static-n1']);
    const sandbox = await running(kubernetes, 'static-n1');
    expect(pod && networkStatusOf(pod).slice(1)).toMatchObject([
      { name: 'default/net-0', interface: 'net1', ips: [await addressOn(sandbox, 'net1')] },
      { name: 'default/net-1', interface: 'net2', ips: [await addressOn(sandbox, 'net2')] },
    ]);
    rmSync(node.pathHere(file)); // to delete its object would bring it back
    await untilPods(kubernetes, 'no pods to be there', (all) => (all.length === 0 ? true : undefined));
  });
});

it('a token that is void after another has come: pods of before can be deleted, and others start', async () => {
  const node = kubernetes.node('n1');
  const { cluster } = kubernetes;
  const [first, second] = [await voidableToken(cluster, 'multus'), await voidableToken(cluster, 'multus')];
  const account = '/etc/kubernetes/account';
  await node.write(`${account}/ca.crt`, cluster.ca);
  await node.write(`${account}/token`, first.token);
  await node.write(`${CNI_CONF}/10-pods.conflist`, JSON.stringify(conflist(kubernetes, POD_NETWORK)));
  const words = ['--watch', '--skip-multus-binary-copy', '--cleanup-config-on-exit', '--service-account', account];
  const installer = node.startProgram(`${CNI_BIN}/braid`, ['install', '--multus', ...words], {
    KUBERNETES_SERVICE_HOST: SERVICE_ADDRESS,
    KUBERNETES_SERVICE_PORT: String(API_PORT),
  });
  const tokenHere = async (): Promise<string> =>
    readFileSync(node.pathHere(`${CNI_CONF}/multus.d/multus.token`), 'utf8');
  await until('the token', async () => ((await tokenHere()) === first.token ? true : undefined));
  await leavesNothing(kubernetes, async () => {
    const on1 = (name: string) => ({ name, node: 'n1', annotations: { [NETWORKS]: 'net-0, net-1' } });
    await runPods(kubernetes, [on1('old')]);
    await node.write(`${account}/token`, second.token);
    await until('the second token', async () => ((await tokenHere()) === second.token ? true : undefined));
    await first.revoke();
    const { url, ca } = cluster;
    using send = senderTo({ url, ca, token: first.token, socket: kubernetes.socket });
    await until('the first token to be void', async () => ((await send('/api')).status === 401 ? true : undefined));
    const [pod] = await runPods(kubernetes, [on1('new')]);
    expect(pod && networkStatusOf(pod)).toHaveLength(3);
    await removePods(kubernetes);
  });
  await installer.stop();
  rmSync(node.pathHere(`${CNI_CONF}/10-pods.conflist`));
});

it('host-device with pools of the cluster: pods get NICs whole, and nodes get them back', async () => {
  await leavesNothing(kubernetes, async () => {
    await runPods(kubernetes, pair(['device-0', 'net-0', 'device-1']));
    const [a, b] = await both();
    for (const ifName of ['net1', 'net2', 'net3']) {
      await reach(a, b, ifName);
    }
    await removePods(kubernetes);
  });
});
