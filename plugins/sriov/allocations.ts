import { join } from 'node:path';
import type { Scope } from '../../lib/cni/scope.ts';
import { makeFolder } from '../../lib/sys/atomic-file.ts';
import { FileLock } from '../../lib/sys/lock.ts';
import { RecordFolder, TEXT_FORM } from '../../lib/sys/record-folder.ts';

const DEFAULT_DATA_DIR = '/var/lib/cni/sriov';
const LOCK_TIMEOUT_MS = 60_000;

/** The folder shared with the Go plugin. */
export const stateFolder = (dataDir: string): string => dataDir || DEFAULT_DATA_DIR;

const pciFolder = (folder: string): string => join(folder, 'pci');
const lockFolder = (folder: string): string => join(pciFolder(folder), 'vf_lock');

/** By PCI address: CNI_NETNS of the pod that has the VF. */
const ownersIn = (folder: string): RecordFolder<string> => new RecordFolder(pciFolder(folder), TEXT_FORM);

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
export const ownerOf = (folder: string, deviceId: string): string | undefined => ownersIn(folder).read(deviceId);

/** PCI addresses of a pod's VFs. */
export function allocatedTo(folder: string, netnsPath: string): readonly string[] {
  const owners = ownersIn(folder);
  return owners.names().filter((deviceId) => owners.read(deviceId) === netnsPath);
}

/** @throws CniError ioFailure */
export function setOwner(folder: string, deviceId: string, netnsPath: string): void {
  ownersIn(folder).write(deviceId, netnsPath, { isDurable: false }); // namespaces die with the node
}

/**
 * Idempotent.
 *
 * @throws CniError ioFailure
 */
export const removeOwner = (folder: string, deviceId: string): void => ownersIn(folder).remove(deviceId);
