/** Pods as users have them, and what can be seen of them: in the API, at the runtime, in the kernel. */
import { expectSuccess } from '../cluster/request.ts';
import { GiveUp, until } from '../containerd/poll.ts';
import { addressTexts, stateOf } from '../lab/state.ts';
import type { Run } from './any-node.ts';
import { POD } from './install.ts';
import type { Kubernetes } from './kubernetes.ts';

export const NETWORKS = 'k8s.v1.cni.cncf.io/networks';
export const NETWORK_STATUS = 'k8s.v1.cni.cncf.io/network-status';

/** On a machine with far too much to do, or emulated on one; a kubelet waits 10 to 15 s after each failure. */
const READY_MS = 300_000;

export interface PodWanted {
  readonly name: string;
  /** a node, or whichever the scheduler takes */
  readonly node?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** seconds between the order to end and the end */
  readonly lastSeconds?: number;
  /** devices, by resource */
  readonly limits?: Readonly<Record<string, string>>;
}

/** A pod as the API has it. */
export interface PodObject {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly phase: string;
    /** why it has failed */
    readonly reason?: string;
    readonly message?: string;
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly restartCount: number; readonly containerID?: string }[];
  };
}

/** What a template of a pod has, whoever makes pods of it. */
export const podSpec = ({ node, lastSeconds, limits }: Omit<PodWanted, 'name'> = {}) => ({
  ...(node === undefined ? {} : { nodeSelector: { 'kubernetes.io/hostname': node } }),
  automountServiceAccountToken: false,
  dnsPolicy: 'Default',
  terminationGracePeriodSeconds: lastSeconds === undefined ? 1 : lastSeconds + 1,
  containers: [
    {
      name: 'main',
      image: POD.name,
      imagePullPolicy: 'Never',
      ...(limits === undefined ? {} : { resources: { limits } }),
      ...(lastSeconds === undefined ? {} : { lifecycle: { preStop: { sleep: { seconds: lastSeconds } } } }),
    },
  ],
});

const pathOf = (name = ''): string => `/api/v1/namespaces/default/pods${name === '' ? '' : `/${name}`}`;

export async function createPods({ cluster }: Kubernetes, wanted: readonly PodWanted[]): Promise<void> {
  await Promise.all(
    wanted.map(({ name, annotations = {}, ...more }) =>
      expectSuccess(
        cluster.send(pathOf(), { method: 'POST', body: { metadata: { name, annotations }, spec: podSpec(more) } }),
      ),
    ),
  );
}

/** Waits until pods are ready; not for one that has failed, as one does for good that a kubelet refuses. */
export async function untilReady(kubernetes: Kubernetes, names: readonly string[]): Promise<readonly PodObject[]> {
  return untilPods(kubernetes, `${names.join(', ')} to be ready`, (all) => {
    const pods = names.flatMap((name) => all.find(({ metadata }) => metadata.name === name) ?? []);
    for (const { metadata, status } of pods.filter(hasFailed)) {
      throw new GiveUp(`${metadata.name} has failed: ${status.reason}: ${status.message}`);
    }
    return pods.filter(isReady).length === names.length ? pods : undefined;
  });
}

export const runPods = async (kubernetes: Kubernetes, wanted: readonly PodWanted[]): Promise<readonly PodObject[]> => {
  await createPods(kubernetes, wanted);
  return untilReady(
    kubernetes,
    wanted.map(({ name }) => name),
  );
};

/** @param force at once for the API: the kubelet ends what runs when it hears of it */
export async function deletePods(
  { cluster }: Kubernetes,
  names: readonly string[],
  { force = false }: { readonly force?: boolean } = {},
): Promise<void> {
  const how = force ? '?gracePeriodSeconds=0' : '';
  await Promise.all(names.map((name) => expectSuccess(cluster.send(`${pathOf(name)}${how}`, { method: 'DELETE' }))));
}

/** Deletes all pods, and waits until the API has none. */
export async function removePods(kubernetes: Kubernetes): Promise<void> {
  await expectSuccess(kubernetes.cluster.send(pathOf(), { method: 'DELETE' }));
  await untilPods(kubernetes, 'no pods to be there', (all) => (all.length === 0 ? true : undefined));
}

/** Looks at all pods again and again; what it says when it gives up has what the cluster says of them. */
export async function untilPods<T>(
  kubernetes: Kubernetes,
  what: string,
  look: (all: readonly PodObject[]) => T | undefined,
  deadlineMs = READY_MS,
): Promise<T> {
  try {
    return await until(what, async () => look(await allPods(kubernetes)), deadlineMs);
  } catch (error) {
    const { stdout } = await kubernetes.kubectl('get', 'pods', '-o', 'wide');
    const events = await eventsOf(kubernetes);
    const words = kubernetes.all.map((node) => `${node.name}: ${node.lastWords('kubelet', 5)}`);
    throw new GiveUp([String(error), stdout, ...events.slice(-10), ...words].join('\n'));
  }
}

export async function allPods({ cluster }: Kubernetes): Promise<readonly PodObject[]> {
  const { items } = await expectSuccess<{ readonly items: readonly PodObject[] }>(cluster.send(pathOf()));
  return items;
}

export const podNamed = ({ cluster }: Kubernetes, name: string): Promise<PodObject> =>
  expectSuccess<PodObject>(cluster.send(pathOf(name)));

export const isReady = ({ status }: PodObject): boolean =>
  status.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') === true;

const hasFailed = ({ status }: PodObject): boolean => status.phase === 'Failed';

/** `reason: message` of each event of a pod, or of all. */
export async function eventsOf({ cluster }: Kubernetes, name?: string): Promise<readonly string[]> {
  const selector = name === undefined ? '' : `?fieldSelector=involvedObject.name=${name}`;
  const { items } = await expectSuccess<{ readonly items: readonly EventObject[] }>(
    cluster.send(`/api/v1/namespaces/default/events${selector}`),
  );
  return items.map(({ reason, message }) => `${reason}: ${message}`);
}

interface EventObject {
  readonly reason: string;
  readonly message: string;
}

/** What multus says of a pod's networks. */
export interface Status {
  readonly name: string;
  readonly interface?: string;
  readonly ips?: readonly string[];
  readonly mac?: string;
  readonly default?: boolean;
  readonly [key: string]: unknown;
}

export const networkStatusOf = ({ metadata }: PodObject): readonly Status[] =>
  JSON.parse(metadata.annotations?.[NETWORK_STATUS] ?? '[]') as readonly Status[];

/** A pod where it runs. */
export interface RunningPod {
  readonly name: string;
  readonly node: string;
  /** of the sandbox: CNI_CONTAINERID */
  readonly id: string;
  /** for `ip -n`, in `run` */
  readonly netns: string;
  readonly run: Run;
}

export async function running(kubernetes: Kubernetes, name: string): Promise<RunningPod> {
  const { spec } = await podNamed(kubernetes, name);
  const node = kubernetes.anyNode(spec.nodeName ?? '');
  const { id } = (await node.cri.sandboxes()).find(({ pod, isReady: lives }) => pod === name && lives) ?? {};
  if (id === undefined) {
    throw new Error(`the runtime of ${node.name} has no sandbox of ${name}`);
  }
  const { netns } = await node.cri.sandbox(id);
  return { name, node: node.name, id, netns: node.nameHere(netns), run: node.run };
}

/** Links, addresses and routes in a pod. */
export const podState = ({ netns, run }: RunningPod) => stateOf(netns, run);

/** `10.6.0.1` of an interface of a pod, as the kernel has it. */
export async function addressOn(pod: RunningPod, ifName: string): Promise<string> {
  const [first = ''] = addressTexts(await podState(pod), ifName);
  return first.replace(/\/.*/, '');
}

/** A pod's packets reach another, over the same interface of both. */
export async function reach(from: RunningPod, to: RunningPod, ifName: string): Promise<void> {
  const address = await addressOn(to, ifName);
  const ping = ['ping', '-c', '1', '-W', '1', '-I', ifName, address];
  await until(`${from.name} to reach ${to.name} (${address}) over ${ifName}`, async () => {
    await from.run(['nsenter', `--net=/run/netns/${from.netns}`, ...ping]);
    return true;
  });
}
