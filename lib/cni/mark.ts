import { temporaryName } from '../link/link.ts';
import type { Netns } from '../netns/netns.ts';
import type { AttachmentCall } from './call.ts';

/** IFALIASZ, less the final NUL */
const LONGEST = 255;
const START = 'braid ';

/**
 * The alias of a link made for a pod: it names the attachment. It stays with the link through moves and renames, so DEL
 * tells the link that ADD made from other pods' links of the same name.
 *
 * @param host distinguishes nodes that share a kernel
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

/** Whether an alias is such a mark. */
export const isMark = (alias: string): boolean => alias.startsWith(START);
