import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../cni/plugin.ts';
import { type DeviceFacts, listDevices } from '../link/device.ts';
import { formatIp, ipFromBytes } from '../net/ip.ts';
import { decodeAddress, encodeAddress, RTM_GETADDR } from '../netlink/codec/address.ts';
import type { Conversation } from '../netlink/conversation.ts';
import type { Netns } from '../netns/netns.ts';

/** A network namespace of the node, and what is in it. */
export interface SeenNetns {
  /** one of those that lead to it */
  readonly path: string;
  readonly identity: string;
  readonly isHost: boolean;
  /** some process is in it */
  readonly isInhabited: boolean;
  readonly links: readonly DeviceFacts[];
  readonly addresses: readonly SeenAddress[];
}

export interface SeenAddress {
  readonly text: string;
  readonly prefix: number;
  readonly linkIndex: number;
}

/** Where runtimes and iproute2 give namespaces names. */
const FOLDERS = ['/run/netns', '/var/run/netns', '/run/docker/netns'];

/** Every namespace that has a name or a process. One that ends meanwhile is left out. */
export async function listNamespaces(host: Host): Promise<readonly SeenNetns[]> {
  const inhabited = processPaths();
  const found = new Map<string, SeenNetns>();
  for (const path of [...FOLDERS.flatMap(pathsIn), ...inhabited.values()]) {
    try {
      using netns = host.openNetns(path);
      if (!found.has(netns.identity)) {
        found.set(netns.identity, await seen(host, netns, path, inhabited));
      }
    } catch {
      // a name without a namespace, a process that has ended
    }
  }
  return [...found.values()];
}

/** The addresses of all links of a namespace. */
export async function addressesIn(netlink: Conversation): Promise<readonly SeenAddress[]> {
  const body = encodeAddress({ family: 0, prefix: 0, index: 0 }, {});
  return (await netlink.dump({ type: RTM_GETADDR, body, operation: 'list addresses' }))
    .map(decodeAddress)
    .flatMap(({ prefix, index, attributes }) => {
      const bytes = attributes.local ?? attributes.address;
      return bytes === undefined ? [] : [{ text: formatIp(ipFromBytes(bytes)), prefix, linkIndex: index }];
    });
}

async function seen(
  host: Host,
  netns: Netns,
  path: string,
  inhabited: ReadonlyMap<string, string>,
): Promise<SeenNetns> {
  const inode = netns.identity.split(':')[1] ?? '';
  return {
    path,
    identity: netns.identity,
    isHost: netns.isSameAs(host.netns),
    isInhabited: inhabited.has(`net:[${inode}]`),
    links: await listDevices(netns.netlink),
    addresses: await addressesIn(netns.netlink),
  };
}

/** One process for each namespace, by the kernel's name of that. */
function processPaths(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const pid of namesIn('/proc').filter((name) => /^\d+$/.test(name))) {
    const path = join('/proc', pid, 'ns/net');
    try {
      const name = readlinkSync(path);
      found.set(name, found.get(name) ?? path);
    } catch {
      // it has ended
    }
  }
  return found;
}

const pathsIn = (folder: string): readonly string[] => namesIn(folder).map((name) => join(folder, name));

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
