import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Scope } from '../cni/scope.ts';
import { type DeviceFacts, listDevices } from '../link/device.ts';
import { formatIp, ipFromBytes } from '../net/ip.ts';
import { decodeAddress, encodeAddress, RTM_GETADDR } from '../netlink/codec/address.ts';
import type { Conversation } from '../netlink/conversation.ts';
import type { Netns } from '../netns/netns.ts';

/** A network namespace of the node: its links and addresses. */
export interface SeenNetns {
  /** one of its paths */
  readonly path: string;
  readonly identity: string;
  readonly isHost: boolean;
  readonly hasProcesses: boolean;
  readonly links: readonly DeviceFacts[];
  readonly addresses: readonly SeenAddress[];
}

export interface SeenAddress {
  readonly text: string;
  readonly prefix: number;
  readonly linkIndex: number;
}

/** Folders of named namespaces: iproute2's and those of runtimes. */
const FOLDERS = ['/run/netns', '/var/run/netns', '/run/docker/netns'];

/** Every namespace with a name or a process. */
export async function listNamespaces(scope: Scope): Promise<readonly SeenNetns[]> {
  const processes = processPaths();
  const found = new Map<string, SeenNetns>();
  for (const path of [...FOLDERS.flatMap(pathsIn), ...processes.values()]) {
    try {
      using netns = scope.node.openNetns(path);
      if (!found.has(netns.identity)) {
        found.set(netns.identity, await seen(scope, netns, path, processes));
      }
    } catch {
      // no namespace is mounted there, or the process has exited
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
  scope: Scope,
  netns: Netns,
  path: string,
  processes: ReadonlyMap<string, string>,
): Promise<SeenNetns> {
  const inode = netns.identity.split(':')[1] ?? '';
  return {
    path,
    identity: netns.identity,
    isHost: netns.isSameAs(scope.node.host),
    hasProcesses: processes.has(`net:[${inode}]`),
    links: await listDevices(netns.netlink),
    addresses: await addressesIn(netns.netlink),
  };
}

/** A path through a process, by the kernel's name of each namespace. */
function processPaths(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const pid of namesIn('/proc').filter((name) => /^\d+$/.test(name))) {
    const path = join('/proc', pid, 'ns/net');
    try {
      const name = readlinkSync(path);
      found.set(name, found.get(name) ?? path);
    } catch {
      // it has exited
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
