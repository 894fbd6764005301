import { CniError, withPrefix } from '../../lib/cni/errors.ts';
import { identifierFault } from '../../lib/cni/read-call.ts';
import { refuseLongRecord } from '../../lib/cni/record-name.ts';
import { RecordFolder, TEXT_FORM } from '../../lib/sys/record-folder.ts';
import { parseScratch, type Stored } from './scratch-form.ts';

/** The folder of the result cache, which libcni keeps beside the scratch files. */
const RESULTS = 'results';

/**
 * Refuses a container whose scratch file could not be written.
 *
 * @throws CniError badEnv
 */
export function refuseUnscratchable(containerId: string): void {
  if (containerId === RESULTS) {
    throw new CniError('badEnv', `cannot use CNI_CONTAINERID "${containerId}": the result cache has that name`);
  }
  refuseLongRecord({ containerId });
}

/** Scratch files by container ID: its delegates, and where it is. Written durably before any delegate runs. */
export const scratchesIn = (cniDir: string): RecordFolder<string> => new RecordFolder(cniDir, TEXT_FORM);

/**
 * What the file tells.
 *
 * @param cniVersion for lists that name none
 * @returns undefined when there is no file
 * @throws CniError ioFailure when it cannot be read, internal when it names no delegate
 */
export function readStored(cniDir: string, containerId: string, cniVersion: string): Stored | undefined {
  const scratches = scratchesIn(cniDir);
  const text = containerId === RESULTS ? undefined : scratches.read(containerId);
  try {
    return text === undefined ? undefined : parseScratch(text, cniVersion);
  } catch (error) {
    throw withPrefix(`cannot read the scratch file "${scratches.fileOf(containerId)}"`, error);
  }
}

/**
 * The containers that have a scratch file, as far as names tell.
 *
 * @throws CniError ioFailure when the folder cannot be read
 */
export const scratchNames = (cniDir: string): readonly string[] => scratchesIn(cniDir).names().filter(isContainerId);

/**
 * The containers whose scratch file a killed call was about to write, as far as names tell.
 *
 * @throws CniError ioFailure when the folder cannot be read
 */
export const unfinishedNames = (cniDir: string): readonly string[] =>
  scratchesIn(cniDir).unfinished().filter(isContainerId);

const isContainerId = (name: string): boolean => identifierFault(name) === undefined;

/** Puts back what was there before; undefined: nothing. */
export function restoreScratch(cniDir: string, containerId: string, before: string | undefined): void {
  if (before === undefined) {
    removeScratch(cniDir, containerId);
  } else {
    scratchesIn(cniDir).write(containerId, before);
  }
}

/** @throws CniError ioFailure */
export function removeScratch(cniDir: string, containerId: string): void {
  if (containerId !== RESULTS) {
    scratchesIn(cniDir).remove(containerId);
  }
}
