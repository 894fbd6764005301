/** The lab of `./scripts/try`: its parts, making it and taking it down, and leftovers in it. */
import { existsSync, globSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ipJson, run } from './command.ts';

export type Conf = Readonly<Record<string, unknown>>;

export const PROGRAMS = new URL('../../dist/standalone', import.meta.url).pathname;
/** On a disk, as on a node: in memory the store would be unrealistically fast. */
export const STATE = '/var/tmp/braid-try';
export const CONF_FILE = join(STATE, 'multus.json');
const DATA_DIR = join(STATE, 'whereabouts');
const MULTUS_DIR = join(STATE, 'multus');

export const NODE = 'braid-try-node';
export const PODS = ['pod-a', 'pod-b'] as const;
export type Pod = (typeof PODS)[number];

export const podNetns = (pod: Pod): string => `braid-try-${pod}`;
const NAMESPACES: readonly string[] = [NODE, ...PODS.map(podNetns)];

export interface Network {
  readonly name: string;
  /** the NIC of the node; the other end is a port of the switch */
  readonly parent: string;
  readonly range: string;
  readonly gateway: string;
  /** in the pod, as multus numbers them */
  readonly ifName: string;
}

export const NETWORKS: readonly Network[] = [0, 1, 2].map((n) => ({
  name: `rail${n}`,
  parent: `nic${n}`,
  range: `10.71.${n}.0/24`,
  gateway: `10.71.${n}.1`,
  ifName: n === 0 ? 'eth0' : `net${n}`,
}));

export const networkConf = ({ name, parent, range, gateway }: Network): Conf => ({
  cniVersion: '1.1.0',
  name,
  type: 'macvlan',
  master: parent,
  mode: 'bridge',
  ipam: { type: 'whereabouts', datastore: 'file', data_dir: DATA_DIR, range, gateway, exclude: [`${gateway}/32`] },
});

/** The configuration that a node would have in /etc/cni/net.d. */
export const multusConf = () => ({
  cniVersion: '1.1.0',
  name: 'try',
  type: 'multus',
  binDir: PROGRAMS,
  cniDir: MULTUS_DIR,
  delegates: NETWORKS.map(networkConf),
});

export const isStanding = (): boolean => existsSync(STATE) || NAMESPACES.some(isNamespace);

/** @throws Failure naming the command that failed */
export function makeLab(): void {
  mkdirSync(STATE, { recursive: true });
  writeFileSync(CONF_FILE, `${JSON.stringify(multusConf(), null, 2)}\n`);
  for (const netns of NAMESPACES) {
    run('ip', 'netns', 'add', netns);
  }
  for (const { parent, gateway } of NETWORKS) {
    const port = `${parent}-port`;
    run('ip', '-n', NODE, 'link', 'add', parent, 'type', 'veth', 'peer', 'name', port);
    run('ip', '-n', NODE, 'address', 'add', `${gateway}/24`, 'dev', port);
    run('ip', '-n', NODE, 'link', 'set', port, 'up');
    run('ip', '-n', NODE, 'link', 'set', parent, 'up');
  }
}

/** @returns whether there was one */
export function removeLab(): boolean {
  const wasStanding = isStanding();
  for (const netns of NAMESPACES.filter(isNamespace)) {
    run('ip', 'netns', 'delete', netns);
  }
  rmSync(STATE, { recursive: true, force: true });
  return wasStanding;
}

/** One line for each interface and each record that the pods left behind. */
export function leftovers(): readonly string[] {
  const links = PODS.flatMap((pod) =>
    ipJson<{ readonly ifname: string }>(podNetns(pod), 'link', 'show')
      .filter(({ ifname }) => ifname !== 'lo')
      .map(({ ifname }) => `${pod} still has the interface ${ifname}`),
  );
  const records = globSync('**', { cwd: MULTUS_DIR })
    .map((name) => join(MULTUS_DIR, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => `multus left ${path}`);
  return [...links, ...records];
}

function isNamespace(netns: string): boolean {
  return existsSync(`/run/netns/${netns}`);
}
