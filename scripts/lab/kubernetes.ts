/** `./scripts/try --kubernetes`: a real cluster of two nodes, and two pods that ask for three networks each. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Kubernetes } from '../../conformance/kubernetes/kubernetes.ts';
import { applyNetwork } from '../../conformance/kubernetes/multus.ts';
import { macvlan } from '../../conformance/kubernetes/networks.ts';
import {
  isReady,
  NETWORKS,
  networkStatusOf,
  type PodObject,
  reach,
  removePods,
  running,
  runPods,
} from '../../conformance/kubernetes/pods.ts';
import { reserved, taken } from '../../conformance/kubernetes/pools.ts';
import { prepareNodes, Release } from '../../conformance/kubernetes/release.ts';
import { RAILS } from '../../conformance/kubernetes/wires.ts';
import { Failure } from './failure.ts';
import { bold, dim, good, table } from './terminal.ts';

const NAMES = RAILS.map((_, index) => `storage-${index}`);
const PODS = [
  { name: 'pod-a', node: 'n1' },
  { name: 'pod-b', node: 'n2' },
] as const;

/** Addresses are free again some moments after the API has forgotten a pod. */
const PATIENCE_MS = 20_000;

export async function tryKubernetes(): Promise<void> {
  process.once('SIGINT', () => process.exit(130)); // the daemons have had it too; everything ends with this process
  const begin = performance.now();
  console.log(bold(`\nA Kubernetes cluster of two nodes, and two pods with ${NAMES.length} networks each\n`));
  await using kubernetes = await Kubernetes.start({ nodes: 2, isBare: true });
  await prepareNodes(kubernetes);
  say(
    'cluster',
    'API server, controllers, scheduler, and on each node a kubelet, containerd and a network of its own',
    begin,
  );
  console.log(`\n${indented((await kubernetes.kubectl('get', 'nodes')).stdout)}\n`);

  const installing = performance.now();
  await new Release(kubernetes).install();
  say('chart', 'helm install: plugins and multus on each node, and the controller', installing);
  console.log(`\n${indented((await kubernetes.kubectl('get', 'pods', '-n', 'kube-system')).stdout)}\n`);

  for (const [index, name] of NAMES.entries()) {
    await applyNetwork(kubernetes, name, {
      cniVersion: kubernetes.cniVersion,
      ...macvlan(RAILS[index] ?? '', `10.71.${index}.0/24`),
    });
  }
  say('networks', `NetworkAttachmentDefinitions ${NAMES.join(', ')}: macvlan, addresses from whereabouts`);

  const started = performance.now();
  const annotations = { [NETWORKS]: NAMES.join(', ') };
  const pods = await runPods(
    kubernetes,
    PODS.map((pod) => ({ ...pod, annotations })),
  );
  say('pods', 'each asks for all of them by annotation; ready', started);
  console.log(`\n${table(HEADER, pods.flatMap(rowsOf))}\n`);
  demandStatus(pods);

  const [a, b] = await Promise.all(PODS.map(({ name }) => running(kubernetes, name)));
  if (a !== undefined && b !== undefined) {
    for (const index of NAMES.keys()) {
      await reach(a, b, `net${index + 1}`);
    }
    say('ping', `${a.name} on ${a.node} reaches ${b.name} on ${b.node} over each network`);
  }

  await removePods(kubernetes);
  await untilFree(kubernetes);
  say('deleted', 'no address is held any more');
  console.log(`\nDone in ${seconds(begin)}, with the cluster taken down.`);
}

const HEADER = ['pod', 'ready', 'node', 'network', 'interface', 'addresses', 'MAC'];

/** As `kubectl get pods`, with a line for each network that the pod's status has. */
function rowsOf(pod: PodObject): readonly (readonly string[])[] {
  const own = [pod.metadata.name, isReady(pod) ? 'yes' : 'no', pod.spec.nodeName ?? ''];
  return networkStatusOf(pod).map((status, index) => [
    ...(index === 0 ? own : own.map(() => '')),
    status.name,
    status.interface ?? '',
    (status.ips ?? []).join(', '),
    status.mac ?? '',
  ]);
}

function demandStatus(pods: readonly PodObject[]): void {
  const without = pods.filter((pod) => networkStatusOf(pod).length !== NAMES.length + 1);
  if (without.length > 0) {
    const names = without.map(({ metadata }) => metadata.name).join(', ');
    throw new Failure(`the network status of ${names} does not have all networks that the pod asks for`);
  }
}

async function untilFree(kubernetes: Kubernetes): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const held = [...(await taken(kubernetes)), ...(await reserved(kubernetes))];
    if (held.length === 0) {
      return;
    }
    if (performance.now() > end) {
      throw new Failure(`addresses are still held:\n${indented(held.join('\n'))}`);
    }
    await sleep(100);
  }
}

const indented = (text: string): string => text.trimEnd().replace(/^/gm, '  ');

const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;

function say(name: string, text: string, since?: number): void {
  console.log(`${good('✓')} ${bold(name.padEnd(9))} ${text}${since === undefined ? '' : dim(` (${seconds(since)})`)}`);
}
