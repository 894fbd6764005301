import { temporaryName } from '../link/link.ts';
import type { Netns } from '../netns/netns.ts';
import type { AttachmentCall } from './call.ts';

/** IFALIASZ, less the final NUL */
const LONGEST = 255;
const START = 'braid ';

/**
 * What a link that is made for a pod bears as its alias: whose it is. It goes where the link goes, under whatever name,
 * and DEL knows by it the link that ADD made from those that other pods call the same.
 *
 * @param host tells nodes apart that share a kernel
 */
export function markOf(
  { containerId, ifName }: Pick<AttachmentCall<unknown>, 'containerId' | 'ifName'>,
  host: Pick<Netns, 'identity'>,
): string {
  const [, inode = ''] = host.identity.split(':');
  const mark = `${START}${inode} ${containerId} ${ifName}`;
  if (Buffer.byteLength(mark) <= LONGEST) {
    return mark;
  }
  const hash = ` ${temporaryName(mark)}`;
  return `${mark.slice(0, LONGEST - hash.length)}${hash}`;
}

/** Does an alias say whose the link is? Others are anybody's text. */
export const isMark = (alias: string): boolean => alias.startsWith(START);
