import type { AttachmentRecord, Host } from '../cni/plugin.ts';
import { formatIp, parseIp } from '../net/ip.ts';
import { opened } from './gone.ts';

type Recorded = Omit<AttachmentRecord, 'release'>;

/** A recorded attachment whose namespace exists. */
export interface Located {
  readonly containerId: string;
  /** '' when it is not recorded */
  readonly ifName: string;
  /** without prefix lengths */
  readonly addresses: readonly string[];
  readonly netns: { readonly path: string; readonly identity: string };
}

/** Finds the namespaces of containers. One record may know the path, another the addresses: all are of one namespace. */
export function locate(host: Host, records: readonly Recorded[]): readonly Located[] {
  const containers = Map.groupBy(records, ({ containerId }) => containerId);
  return [...containers].flatMap(([containerId, own]) => {
    const netns = namespaceOf(host, own);
    return netns === undefined
      ? []
      : own.map(({ ifName, addresses }) => ({
          containerId,
          ifName,
          addresses: addresses.map(withoutPrefix),
          netns,
        }));
  });
}

function namespaceOf(host: Host, records: readonly Recorded[]): Located['netns'] | undefined {
  for (const path of pathsOf(records)) {
    using netns = opened(host, path);
    if (netns !== undefined && !netns.isSameAs(host.netns)) {
      return { path, identity: netns.identity };
    }
  }
  return undefined;
}

export const pathsOf = (records: readonly Recorded[]): readonly string[] => [
  ...new Set(records.map(({ netns }) => netns).filter((path) => path !== '')),
];

/** An address as the kernel's are written here, whoever recorded it. */
export function withoutPrefix(text: string): string {
  const address = text.replace(/\/\d+$/, '');
  const ip = parseIp(address);
  return ip === undefined ? address : formatIp(ip);
}
