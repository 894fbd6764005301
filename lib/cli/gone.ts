import type { AttachmentRecord, Host } from '../cni/plugin.ts';
import type { Netns } from '../netns/netns.ts';

/** Does the record name a namespace that is not there any more? */
export const isGone = (host: Host, { netns }: AttachmentRecord): boolean => netns !== '' && isGonePath(host, netns);

/** A path through /proc leads to the host's own namespace, or to another's, once its process has ended. */
export function isGonePath(host: Host, path: string): boolean {
  const netns = opened(host, path);
  if (netns === undefined) {
    return true;
  }
  using _open = netns;
  return netns.isSameAs(host.netns);
}

/** undefined when there is none any more */
export function opened(host: Host, path: string): Netns | undefined {
  try {
    return host.openNetns(path);
  } catch {
    return undefined;
  }
}
