import { hasErrno } from '../netlink/errno.ts';
import type { Netns } from '../netns/netns.ts';
import { randomBytes } from '../sys/random.ts';
import { deleteGroup, deleteLink, setGroup } from './link.ts';
import { findLinkByIndex } from './observe.ts';

interface Wish {
  readonly netns: Netns;
  readonly index: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Deletes links, those that are asked for at the same time with one request per namespace: the kernel makes a request
 * wait for its grace period, not a link. They are put into a group of their own first, since a group is what one
 * request can delete.
 */
export class LinkRemover {
  private wishes: Wish[] = [];

  /** Resolves when the link is gone. */
  remove(netns: Netns, index: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.wishes.length === 0) {
        setImmediate(() => this.flush());
      }
      this.wishes.push({ netns, index, resolve, reject });
    });
  }

  private flush(): void {
    const batches = Map.groupBy(this.wishes, ({ netns }) => netns.identity);
    this.wishes = [];
    for (const batch of batches.values()) {
      removeAll(batch).catch((error: unknown) => {
        for (const { reject } of batch) {
          reject(error);
        }
      });
    }
  }
}

async function removeAll(batch: readonly Wish[]): Promise<void> {
  const [first] = batch;
  if (first === undefined) {
    return;
  }
  if (batch.length > 1 && (await removeAsGroup(first.netns, batch))) {
    for (const { resolve } of batch) {
      resolve();
    }
    return;
  }
  await Promise.all(
    batch.map(({ netns, index, resolve, reject }) => deleteLink(netns.netlink, index).then(() => resolve(), reject)),
  );
}

/** @returns false when some link is still there: each is then deleted by itself, and has its own error */
async function removeAsGroup(netns: Netns, batch: readonly Wish[]): Promise<boolean> {
  const group = 0x4000_0000 + (randomBytes(4).readUInt32LE() >>> 2);
  try {
    for (const { index } of batch) {
      unlessGone(() => setGroup(netns.netlink, index, group));
    }
    await deleteGroup(netns.netlink, group);
  } catch (error) {
    if (!hasErrno(error, 'ENODEV')) {
      return false;
    }
  }
  return batch.every(({ index }) => findLinkByIndex(netns.netlink, index) === undefined);
}

function unlessGone(change: () => void): void {
  try {
    change();
  } catch (error) {
    if (!hasErrno(error, 'ENODEV')) {
      throw error;
    }
  }
}
