import type { AttachmentRecord } from '../cni/records.ts';
import { reopen } from '../cni/sandbox.ts';
import type { Scope } from '../cni/scope.ts';
import { formatIp, parseIp } from '../net/ip.ts';

type Recorded = Omit<AttachmentRecord, 'release'>;

/** A recorded attachment whose namespace exists. */
export interface Located {
  readonly containerId: string;
  /** '' when not recorded */
  readonly ifName: string;
  /** without prefix lengths */
  readonly addresses: readonly string[];
  readonly netns: { readonly path: string; readonly identity: string };
}

/** The namespace of a container. */
export interface Home {
  /** its path, or its former one */
  readonly path: string;
  /** undefined when it is gone */
  readonly identity: string | undefined;
}

/** By container ID; without containers whose namespace is not recorded. */
export type Homes = ReadonlyMap<string, Home>;

/** Finds the namespaces of containers, wherever they are now. */
export async function findHomes(scope: Scope, records: readonly Recorded[]): Promise<Homes> {
  const homes = new Map<string, Home>();
  for (const [containerId, own] of Map.groupBy(records, (record) => record.containerId)) {
    const home = await homeOf(scope, own);
    if (home !== undefined) {
      homes.set(containerId, home);
    }
  }
  return homes;
}

/** A recorded identity beats a path, which may lead elsewhere by now. */
async function homeOf(scope: Scope, records: readonly Recorded[]): Promise<Home | undefined> {
  const identified = records.filter(({ namespace }) => namespace !== undefined);
  const sandboxes =
    identified.length > 0
      ? identified.map(({ netns, namespace }) => ({ path: netns, identity: namespace }))
      : pathsOf(records).map((path) => ({ path }));
  for (const sandbox of sandboxes) {
    const { netns } = await reopen(scope, sandbox);
    if (netns !== undefined) {
      using open = netns;
      return { path: open.path, identity: open.identity };
    }
  }
  const [first] = sandboxes;
  return first && { path: first.path, identity: undefined };
}

/** Attachments whose namespace exists. One record may have the namespace, another the addresses: a container has one namespace. */
export function locate(homes: Homes, records: readonly Recorded[]): readonly Located[] {
  return records.flatMap(({ containerId, ifName, addresses }) => {
    const { path = '', identity } = homes.get(containerId) ?? {};
    return identity === undefined
      ? []
      : [{ containerId, ifName, addresses: addresses.map(withoutPrefix), netns: { path, identity } }];
  });
}

export const pathsOf = (records: readonly Recorded[]): readonly string[] => [
  ...new Set(records.map(({ netns }) => netns).filter((path) => path !== '')),
];

/** An address in canonical form, without prefix length. */
export function withoutPrefix(text: string): string {
  const address = text.replace(/\/\d+$/, '');
  const ip = parseIp(address);
  return ip === undefined ? address : formatIp(ip);
}
