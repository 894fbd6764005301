import { closeSync, constants, readFileSync } from 'node:fs';
import type { Finding } from '../cni/findings.ts';
import type { Scope } from '../cni/scope.ts';
import { formatCidr, masked, parseCidr } from '../net/cidr.ts';
import type { Netns } from '../netns/netns.ts';
import type { SeenNetns } from './namespaces.ts';
import type { Node } from './node.ts';

const STRICT = 1;

/** Checks sysctls in the namespaces of the node and of recorded pods. */
export function examineNetwork(scope: Scope, node: Node, namespaces: readonly SeenNetns[]): readonly Finding[] {
  const recorded = new Map(node.records.map((record) => [realPath(record.netns), record]));
  return namespaces
    .filter(({ isHost, path }) => isHost || recorded.has(realPath(path)))
    .flatMap((one) => examineSubnets(scope, one, one.isHost ? 'the node' : `pod "${nameOf(recorded, one)}"`));
}

function nameOf(recorded: ReadonlyMap<string, { readonly pod: string; readonly containerId: string }>, one: SeenNetns) {
  const record = recorded.get(realPath(one.path));
  return record?.pod || record?.containerId || one.path;
}

const realPath = (path: string): string => path.replace(/^\/var\/run\//, '/run/');

/** Two interfaces in one subnet: the kernel answers ARP for both on either, and sends through one of them. */
function examineSubnets(scope: Scope, seen: SeenNetns, where: string): readonly Finding[] {
  const groups = Map.groupBy(
    seen.addresses.filter(({ text, prefix }) => !text.includes(':') && prefix < 32),
    ({ text, prefix }) => subnetOf(text, prefix),
  );
  return [...groups].flatMap(([subnet, addresses]) => {
    const names = [...new Set(addresses.map(({ linkIndex }) => linkIndex))]
      .map((index) => seen.links.find((link) => link.index === index)?.name ?? '')
      .filter((name) => name !== '' && name !== 'lo');
    return names.length < 2 ? [] : examineSettings(scope, seen, where, subnet, names);
  });
}

function examineSettings(
  scope: Scope,
  seen: SeenNetns,
  where: string,
  subnet: string,
  names: readonly string[],
): readonly Finding[] {
  const read = reader(scope, seen);
  if (read === undefined) {
    return [];
  }
  using settings = read;
  const interfaces = names.map((name) => `"${name}"`).join(' and ');
  const value = (name: string, key: string): number => Math.max(settings.get('all', key), settings.get(name, key));
  const strict = names.filter((name) => value(name, 'rp_filter') === STRICT);
  const answering = names.filter((name) => value(name, 'arp_ignore') === 0 || value(name, 'arp_announce') < 2);
  const sysctl = (key: string, number: number): string =>
    names.map((name) => `net.ipv4.conf.${name}.${key}=${number}`).join(', ');
  return [
    ...(strict.length === 0
      ? []
      : [
          {
            level: 'fault' as const,
            text: `${where} has ${interfaces} in subnet ${subnet} and strict rp_filter: packets that arrive on one but are routed through the other are dropped`,
            fix: `set ${sysctl('rp_filter', 2)} (in a pod with the plugin "tuning")`,
          },
        ]),
    ...(answering.length === 0
      ? []
      : [
          {
            level: 'warning' as const,
            text: `${where} has ${interfaces} in subnet ${subnet} and answers ARP for each on both: traffic for one arrives on the other`,
            fix: `set ${sysctl('arp_ignore', 1)} and ${sysctl('arp_announce', 2)} (in a pod with the plugin "tuning")`,
          },
        ]),
  ];
}

function subnetOf(text: string, prefix: number): string {
  const cidr = parseCidr(`${text}/${prefix}`);
  return cidr === undefined ? text : formatCidr(masked(cidr));
}

/** IPv4 sysctls in the namespace; an unreadable one is 0. */
function reader(
  scope: Scope,
  { path }: SeenNetns,
): (Disposable & { get(name: string, key: string): number }) | undefined {
  let netns: Netns;
  try {
    netns = scope.node.openNetns(path);
  } catch {
    return undefined;
  }
  return {
    get: (name, key) => {
      try {
        const fd = netns.openFile(`/proc/sys/net/ipv4/conf/${name}/${key}`, constants.O_RDONLY);
        try {
          return Number(readFileSync(fd, 'utf8'));
        } finally {
          closeSync(fd);
        }
      } catch {
        return 0;
      }
    },
    [Symbol.dispose]: () => netns[Symbol.dispose](),
  };
}
