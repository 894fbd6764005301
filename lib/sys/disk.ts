import { closeSync, fdatasync, fdatasyncSync, fsync, fsyncSync, openSync, statfsSync } from 'node:fs';
import { promisify } from 'node:util';
import { syncFolder } from './atomic-file.ts';
import { Gatherer } from './gather.ts';
import { ioError } from './io-error.ts';

/** What makes files survive a power cut. */
export interface Disk {
  /** @throws the system's error */
  sync(fd: number): Promise<void>;
  /**
   * The same without times and what else its content can be read without.
   *
   * @throws the system's error
   */
  syncData(fd: number): Promise<void>;
  /**
   * Makes the names in a folder durable: a file created or renamed there survives.
   *
   * @throws CniError ioFailure
   */
  syncFolder(path: string): Promise<void>;
}

/** For a process that serves one call: a thread would cost more than the wait. */
export const BLOCKING_DISK: Disk = {
  sync: async (fd) => fsyncSync(fd),
  syncData: async (fd) => fdatasyncSync(fd),
  syncFolder: async (path) => syncFolder(path),
};

/** <linux/magic.h> */
const TMPFS_MAGIC = 0x0102_1994;

/**
 * The disk for files in a folder: of one in memory, such as /run, a sync is over at once, and a thread for it would take
 * longer than all else.
 */
export function diskFor(folder: string, disk: Disk): Disk {
  try {
    return statfsSync(folder).type === TMPFS_MAGIC ? BLOCKING_DISK : disk;
  } catch {
    return disk; // it is not there yet
  }
}

/** For a process that serves many: they go on meanwhile, and those that want the same folder synced wait together. */
export function sharedDisk(): Disk {
  const sync = promisify(fsync);
  const syncFolderOnce = async (path: string): Promise<void> => {
    try {
      const fd = openSync(path, 'r');
      try {
        await sync(fd);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw ioError('sync folder', path, error);
    }
  };
  const gatherer = new Gatherer();
  return {
    sync,
    syncData: promisify(fdatasync),
    syncFolder: (path) =>
      gatherer.gather(path, undefined, async (all) => {
        await syncFolderOnce(path);
        return all.map(() => ({ status: 'fulfilled', value: undefined }));
      }),
  };
}
