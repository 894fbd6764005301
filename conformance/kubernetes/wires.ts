/** The control plane's network: its bridges are the wires between the nodes. */
import { join } from 'node:path';
import { Place } from '../containerd/place.ts';
import { BASE_ENV, mustRun } from '../lab/execute.ts';

/** The network of the nodes, and where the API server is in it. Nothing of it is seen outside. */
const LAN = '172.30.0';
export const API_ADDRESS = `${LAN}.1`;
/** That of the service "kubernetes": pods find the API server there, without a proxy. */
export const SERVICE_ADDRESS = '10.0.0.1';
export const API_PORT = 443;
/** The way out of networks of pods that are on the nodes' own wire. */
export const POD_GATEWAY = '10.244.255.254';

export const addressOf = (node: number): string => `${LAN}.${10 + node}`;

/** NICs of each node for networks of pods: nodes are on one wire with those of the same name. */
export const RAILS = ['rail0', 'rail1', 'rail2'] as const;
/** NICs that are given to pods as they are, all on one wire. */
export const DEVICES = ['nic0', 'nic1', 'nic2', 'nic3'] as const;

const BRIDGES = ['lan', ...RAILS, 'nics'];

/** For `ip -n`, which takes names in /run/netns only. */
export const nameOf = ({ pid }: Place): string => `../../proc/${pid}/ns/net`;

const ip = (place: Place, commands: readonly string[]): Promise<string> =>
  mustRun(['ip', '-n', nameOf(place), '-batch', '-'], { stdin: commands.map((line) => `${line}\n`).join('') });

export async function makeControl(folder: string): Promise<Place> {
  const place = await Place.start({
    unshare: ['--net'],
    init: ['sleep', 'infinity'],
    env: BASE_ENV,
    log: join(folder, 'control.log'),
  });
  await ip(place, [
    'link set lo up',
    ...BRIDGES.flatMap((name) => [`link add ${name} type bridge`, `link set ${name} up`]),
    `address add ${API_ADDRESS}/24 dev lan`,
    `address add ${SERVICE_ADDRESS}/32 dev lan`,
    `address add ${POD_GATEWAY}/16 dev lan`,
  ]);
  return place;
}

/** The NICs of a node that has just begun. */
export async function plugIn(control: Place, node: Place, number: number): Promise<void> {
  const nics = [['eth0', 'lan'], ...RAILS.map((rail) => [rail, rail]), ...DEVICES.map((device) => [device, 'nics'])];
  const ports = nics.map(([nic = '', bridge = '']) => ({ nic, bridge, port: `n${number}-${nic}` }));
  await ip(
    control,
    ports.flatMap(({ nic, bridge, port }) => [
      `link add ${port} type veth peer name ${nic} netns ${node.pid}`,
      `link set ${port} master ${bridge}`,
      `link set ${port} up`,
    ]),
  );
  await ip(node, [
    ...ports.map(({ nic }) => `link set ${nic} up`),
    `address add ${addressOf(number)}/24 dev eth0`,
    `route add default via ${API_ADDRESS}`,
  ]);
}

/** The same for a node that is a machine: taps, which its emulator finds by name, on the bridges of the same names. */
export async function plugInTaps(control: Place, node: string, cards: readonly string[]): Promise<void> {
  const taps = [['eth0', 'lan'], ...cards.map((card) => [card, card])];
  await ip(
    control,
    taps.flatMap(([nic, bridge]) => [
      `tuntap add dev ${node}-${nic} mode tap`,
      `link set ${node}-${nic} master ${bridge}`,
      `link set ${node}-${nic} up`,
    ]),
  );
}
