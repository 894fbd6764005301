/** Everything that the kernel says of a device, for comparing it with what it said before. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { execute, mustRun } from '../lab/execute.ts';
import type { Pod } from '../lab/lab.ts';
import type { Entry } from '../lab/state.ts';
import { pciLink, pciPath } from './pci.ts';

/** An interface: its attributes (of a card also those of its VFs), addresses, routes of all tables, switches. */
export interface LinkPicture {
  readonly link: Entry;
  readonly addresses: readonly Entry[];
  readonly routes: readonly Entry[];
  readonly sysctls: Readonly<Record<string, string>>;
}

/** A device on the PCI bus: links to others, and files that say how it is used. */
export type PciPicture = Readonly<Record<string, string | undefined>>;

/**
 * Of an interface on the node or in a pod. What changes by itself is left out: index, carrier, counters, lifetimes.
 *
 * @throws Error when there is no such interface
 */
export async function pictureOfLink(name: string, pod?: Pod): Promise<LinkPicture> {
  const text = await mustRun(['ip', ...(pod === undefined ? [] : ['-n', pod.name]), '-j', '-d', '-batch', '-'], {
    stdin: `link show dev ${name}\naddr show dev ${name}\nroute show table all dev ${name}\n`,
  });
  const [links = [], addresses = [], routes = []] = text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => (JSON.parse(line) as readonly Entry[]).filter((entry) => Object.keys(entry).length > 0));
  return {
    link: steady(links[0] ?? {}),
    addresses: addresses.flatMap((entry) => (entry['addr_info'] ?? []) as readonly Entry[]).map(without('tentative')),
    routes: routes.map(without('flags')),
    sysctls: await sysctlsOf(name, pod),
  };
}

/** Of a device that is a card or a VF, by its address. */
export function pictureOfPci(address: string): PciPicture {
  const links = ['driver', 'iommu_group', 'physfn'].map((name) => [name, pciLink(address, name)] as const);
  const files = ['driver_override', 'sriov_numvfs', 'sriov_drivers_autoprobe', 'vendor', 'device'].map(
    (name) => [name, textOf(pciPath(address, name))] as const,
  );
  const vfs = readdirSync(pciPath(address)).filter((name) => name.startsWith('virtfn'));
  return Object.fromEntries([...links, ...files, ...vfs.map((name) => [name, pciLink(address, name)] as const)]);
}

/** What a card says of one of its VFs: mac, vlan, qos, rates, spoofchk, trust, link state. */
export async function vfAttributes(cardLink: string, id: number): Promise<Entry> {
  const [card] = JSON.parse(await mustRun(['ip', '-j', '-d', 'link', 'show', 'dev', cardLink])) as readonly Entry[];
  const found = ((card?.['vfinfo_list'] ?? []) as readonly Entry[]).find(({ vf }) => vf === id);
  if (found === undefined) {
    throw new Error(`"${cardLink}" says nothing of a VF ${id}`);
  }
  return found;
}

/** All below /proc/sys/net/*\/conf/LINK and neigh/LINK that can be read. */
async function sysctlsOf(name: string, pod: Pod | undefined): Promise<Readonly<Record<string, string>>> {
  const folders = ['ipv4/conf', 'ipv6/conf', 'ipv4/neigh', 'ipv6/neigh'].map((folder) => `${folder}/${name}`);
  const argv = ['grep', '-rs', '', ...folders.map((folder) => `/proc/sys/net/${folder}`)];
  const { stdout } = await execute(pod === undefined ? argv : ['ip', 'netns', 'exec', pod.name, ...argv]);
  const lines = stdout.trimEnd().split('\n').sort();
  return Object.fromEntries(
    lines.map((line) => {
      const [path = '', ...value] = line.slice('/proc/sys/net/'.length).split(':');
      return [path.replace(`/${name}/`, '/'), value.join(':')];
    }),
  );
}

function steady(link: Entry): Entry {
  const { ifindex: _, operstate: __, qdisc: ___, flags, ...rest } = link;
  const kept = ((flags ?? []) as readonly string[]).filter((flag) => !['LOWER_UP', 'NO-CARRIER'].includes(flag));
  return { ...rest, flags: kept };
}

const without =
  (name: string) =>
  (entry: Entry): Entry =>
    Object.fromEntries(Object.entries(entry).filter(([key]) => key !== name));

const textOf = (path: string): string | undefined =>
  statSync(path, { throwIfNoEntry: false }) === undefined ? undefined : readFileSync(path, 'utf8').trim();
