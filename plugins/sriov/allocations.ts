import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Scope } from '../../lib/cni/scope.ts';
import { makeFolder, removeWritten, writeAtomically } from '../../lib/sys/atomic-file.ts';
import { ioError, isMissing } from '../../lib/sys/io-error.ts';
import { FileLock } from '../../lib/sys/lock.ts';

const DEFAULT_DATA_DIR = '/var/lib/cni/sriov';
const LOCK_TIMEOUT_MS = 60_000;

/** The folder shared with the Go plugin. */
export const stateFolder = (dataDir: string): string => dataDir || DEFAULT_DATA_DIR;

const pciFolder = (folder: string): string => join(folder, 'pci');
const lockFolder = (folder: string): string => join(pciFolder(folder), 'vf_lock');
const ownerFile = (folder: string, deviceId: string): string => join(pciFolder(folder), deviceId);

/**
 * Locks a VF against all other calls, also those of the Go plugin. Folders are created for root alone.
 *
 * @throws CniError tryAgainLater, ioFailure
 */
export function lockVf(scope: Scope, folder: string, deviceId: string): Promise<FileLock> {
  makeFolder(lockFolder(folder));
  return FileLock.acquire(scope, join(lockFolder(folder), `${deviceId}.lock`), { timeoutMs: LOCK_TIMEOUT_MS });
}

/** CNI_NETNS of the pod that has the VF; undefined when it is free. */
export function ownerOf(folder: string, deviceId: string): string | undefined {
  const file = ownerFile(folder, deviceId);
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw ioError('read', file, error);
  }
}

/** PCI addresses of a pod's VFs. */
export function allocatedTo(folder: string, netnsPath: string): readonly string[] {
  let names: readonly string[];
  try {
    names = readdirSync(pciFolder(folder), { withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
      .map(({ name }) => name);
  } catch (error) {
    if (isMissing(error)) {
      return [];
    }
    throw ioError('read folder', pciFolder(folder), error);
  }
  return names.filter((deviceId) => ownerOf(folder, deviceId) === netnsPath).sort();
}

/** @throws CniError ioFailure */
export function setOwner(folder: string, deviceId: string, netnsPath: string): void {
  makeFolder(pciFolder(folder));
  writeAtomically(ownerFile(folder, deviceId), netnsPath, { mode: 0o600, sync: false }); // namespaces die with the node
}

/**
 * Idempotent.
 *
 * @throws CniError ioFailure
 */
export function removeOwner(folder: string, deviceId: string): void {
  const file = ownerFile(folder, deviceId);
  try {
    removeWritten(file);
  } catch (error) {
    throw ioError('remove', file, error);
  }
}
