/** Virtual functions of a node, and what its pods have of them. */
import { until } from '../../containerd/poll.ts';
import type { Entry } from '../../lab/state.ts';
import type { Kubernetes } from '../kubernetes.ts';
import { podNamed, podState, running } from '../pods.ts';
import type { VmNode } from './vm-node.ts';

/** Where a virtual function is. */
export interface VfPlace {
  readonly pci: string;
  readonly driver: string;
  /** empty while it has none in the node's namespace */
  readonly link: string;
}

/** What the kernel says of a virtual function. */
export interface VfState extends VfPlace {
  /** hardware address, MTU, up or not, of the interface */
  readonly facts: Entry;
}

const LIST = `
for device in /sys/bus/pci/devices/*; do
  [[ -e $device/physfn ]] || continue
  links=("$device"/net/*)
  link=\${links[0]##*/}
  driver=$(readlink "$device/driver") || true
  echo "\${device##*/} \${driver##*/} \${link/\\*/}"
done
ip -j -d link`;

/** By address on the bus, with what cards say of them. */
export async function vfsOf(node: VmNode): Promise<{ readonly vfs: readonly VfState[]; readonly cards: object }> {
  const lines = (await node.run(['bash', '-c', LIST])).trimEnd().split('\n');
  const links = JSON.parse(lines.at(-1) ?? '[]') as readonly Entry[];
  const vfs = lines.slice(0, -1).map((line) => {
    const [pci = '', driver = '', link = ''] = line.split(' ');
    const { address, mtu, flags, altnames, promiscuity } =
      links.find(({ ifname, linkinfo }) => link !== '' && ifname === link && linkinfo === undefined) ?? {};
    const isUp = ((flags ?? []) as readonly string[]).includes('UP');
    return { pci, driver, link, facts: { address, mtu, isUp, altnames, promiscuity } as Entry };
  });
  const cards = links.flatMap(({ ifname, vfinfo_list: list }) => (list === undefined ? [] : [[ifname, list] as const]));
  return { vfs, cards: Object.fromEntries(cards.map(([name, list]) => [String(name), list])) };
}

/** Which drivers virtual functions have, and which interfaces in the node's namespace; by address on the bus. */
export const placesOf = async (node: VmNode): Promise<readonly VfPlace[]> =>
  (await vfsOf(node)).vfs.map(({ pci, driver, link }) => ({ pci, driver, link }));

/** Where a virtual function of a card is on the bus. */
export async function pciOf(node: VmNode, card: string, index: number): Promise<string> {
  return (await node.run(['readlink', `/sys/class/net/${card}/device/virtfn${index}`])).trim().replace(/^.*\//, '');
}

/** Takes the driver of virtual functions away, and with it their interfaces. */
export async function unbind(node: VmNode, vfs: readonly VfPlace[]): Promise<void> {
  await node.run(['bash', '-ec', UNBIND, ...vfs.flatMap(({ pci, driver }) => [driver, pci])]);
}

/** Gives it back; interfaces get the names that they had. */
export async function bind(node: VmNode, vfs: readonly VfPlace[]): Promise<void> {
  await node.run(['bash', '-ec', BIND, ...vfs.flatMap(({ pci, driver, link }) => [driver, pci, link])]);
}

// The first word is $0.
const UNBIND = `
set -- "$0" "$@"
for ((; $# > 0; )); do
  echo "$2" >"/sys/bus/pci/drivers/$1/unbind"
  shift 2
done`;
const BIND = `
set -- "$0" "$@"
for ((; $# > 0; )); do
  echo "$2" >"/sys/bus/pci/drivers/$1/bind"
  links=("/sys/bus/pci/devices/$2/net/"*)
  ip link set "\${links[0]##*/}" name "$3"
  shift 3
done`;

/** Where the first network of a pod is: on which function, with which address, in which sandbox. */
export async function firstVfOf(kubernetes: Kubernetes, name: string) {
  const pod = await running(kubernetes, name);
  const { links } = await podState(pod);
  const { parentdev, address } = links.find(({ ifname }) => ifname === 'net1') ?? {};
  return { pci: parentdev, address, sandbox: pod.id };
}

/** RDMA devices, of the node or of a pod's namespace. */
export async function rdmaDevicesOf(node: VmNode, netns?: string): Promise<readonly string[]> {
  const text = await node.run([...(netns === undefined ? [] : ['ip', 'netns', 'exec', netns]), 'rdma', '-j', 'dev']);
  return text.trim() === '' ? [] : (JSON.parse(text) as { ifname: string }[]).map(({ ifname }) => ifname);
}

/** A container of a pod: its process on the node. */
async function processOf(kubernetes: Kubernetes, node: VmNode, name: string): Promise<string> {
  const { status } = await podNamed(kubernetes, name);
  const id = status.containerStatuses?.[0]?.containerID?.replace('containerd://', '') ?? '';
  const find = ['find', '/sys/fs/cgroup/kubepods', '-path', `*/${id}/cgroup.procs`, '-exec', 'cat', '{}', '+'];
  return until(`the process of ${name}`, async () => (await node.run(find)).split('\n')[0] || undefined);
}

/** The environment of a pod's container. */
export async function environmentOf(
  kubernetes: Kubernetes,
  node: VmNode,
  name: string,
): Promise<Readonly<Record<string, string>>> {
  const text = await node.run(['cat', `/proc/${await processOf(kubernetes, node, name)}/environ`]);
  return Object.fromEntries(text.split('\0').map((line) => [line.replace(/=.*/s, ''), line.replace(/^[^=]*=/, '')]));
}

/** Files below a folder of a pod's container. */
export async function filesInPod(
  kubernetes: Kubernetes,
  node: VmNode,
  name: string,
  folder: string,
): Promise<readonly string[]> {
  return node.names(`/proc/${await processOf(kubernetes, node, name)}/root${folder}`);
}
