import type { Conversation } from '../netlink/conversation.ts';
import { hasErrno } from '../netlink/errno.ts';
import { deleteAsGroup, deleteLink } from './link.ts';
import { listLinks } from './observe.ts';

/** Far above what people number by hand. */
const FIRST_GROUP = 0x4000_0000;

/**
 * Deletes links of one namespace with one request: the kernel makes a request wait for its grace period, not a link.
 * They are put into a group of their own first, since a group is what one request can delete.
 *
 * @returns for each link whether it is gone, or why it is not
 */
export async function removeLinks(
  netlink: Conversation,
  indexes: readonly number[],
): Promise<readonly PromiseSettledResult<unknown>[]> {
  if (indexes.length > 1 && (await removeAsGroup(netlink, indexes))) {
    return indexes.map(() => ({ status: 'fulfilled', value: undefined }));
  }
  return Promise.allSettled(indexes.map((index) => deleteLink(netlink, index)));
}

/** @returns false when some link is still there: each is then deleted by itself, and has its own error */
async function removeAsGroup(netlink: Conversation, indexes: readonly number[]): Promise<boolean> {
  const group = FIRST_GROUP + Math.min(...indexes); // nobody else deletes the same link at the same time
  try {
    const refusals = await deleteAsGroup(netlink, indexes, group);
    if (refusals.some((refusal) => refusal !== undefined && !hasErrno(refusal, 'ENODEV'))) {
      return false;
    }
  } catch {
    return false;
  }
  const left = await listLinks(netlink);
  return !left.some(({ index }) => indexes.includes(index));
}
