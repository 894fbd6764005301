import type { Scope } from '../../lib/cni/scope.ts';
import { makeFolder } from '../../lib/sys/atomic-file.ts';
import { inside } from '../../lib/sys/inside.ts';
import { FileLock } from '../../lib/sys/lock.ts';

const TIMEOUT_MS = 60_000;
/** Names of files end at 255 bytes; IDs that differ only behind this wait for each other, which does no harm. */
const LONGEST_PART = 200;

/**
 * Makes a container this call's own: several calls for one pod at once would take each other's records for left over.
 *
 * @throws CniError tryAgainLater when another call has kept it for too long, ioFailure where nothing can be written
 */
export function lockContainer(
  scope: Scope,
  cniDir: string,
  containerId: string,
  timeoutMs = TIMEOUT_MS,
): Promise<FileLock> {
  makeFolder(cniDir, { sync: false });
  const path = inside(cniDir, `.${containerId.slice(0, LONGEST_PART)}.lock`);
  return FileLock.acquire(scope, path, { timeoutMs, isTransient: true });
}

/** No container has that ID. */
const COLLECTION = '._gc.lock';

/**
 * Keeps networks from being plugged into running pods while GC tells what is valid, which they would not be among.
 *
 * @throws CniError tryAgainLater when another call has kept it for too long, ioFailure where nothing can be written
 */
export function lockCollection(scope: Scope, cniDir: string, { isShared }: { isShared: boolean }): Promise<FileLock> {
  makeFolder(cniDir, { sync: false });
  return FileLock.acquire(scope, inside(cniDir, COLLECTION), { timeoutMs: TIMEOUT_MS, isTransient: true, isShared });
}
