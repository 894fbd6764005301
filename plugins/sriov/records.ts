import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../lib/cni/errors.ts';
import { makeFolder, removeWritten, writeAtomically } from '../../lib/sys/atomic-file.ts';
import { ioError, isMissing } from '../../lib/sys/io-error.ts';
import type { RecordKey, SriovRecord } from './record.ts';
import { formatRecord, parseRecord } from './record-form.ts';

/** A record among others: its file's name says whose it is, also where the content does not. */
export interface NamedRecord {
  /** `<container ID>-<interface name>` */
  readonly name: string;
  readonly record: SriovRecord;
}

export const nameOf = ({ containerId, ifName }: RecordKey): string => `${containerId}-${ifName}`;

/**
 * @param isDurable it must survive a power cut
 * @throws CniError ioFailure
 */
export function writeRecord(folder: string, key: RecordKey, record: SriovRecord, isDurable: boolean): void {
  makeFolder(folder);
  writeAtomically(join(folder, nameOf(key)), formatRecord(record), { mode: 0o600, sync: isDurable });
}

/** @returns undefined when there is none, or none that can be read: the second is logged */
export const readRecord = (folder: string, key: RecordKey, log: (line: string) => void): SriovRecord | undefined =>
  readNamed(folder, nameOf(key), log)?.record;

/**
 * A record that is not there is no failure.
 *
 * @throws CniError ioFailure
 */
export function removeRecord(folder: string, name: string): void {
  const file = join(folder, name);
  try {
    removeWritten(file);
  } catch (error) {
    throw ioError('remove', file, error);
  }
}

/** Every record that can be read. */
export function listRecords(folder: string, log: (line: string) => void): readonly NamedRecord[] {
  return namesIn(folder).flatMap((name) => readNamed(folder, name, log) ?? []);
}

function readNamed(folder: string, name: string, log: (line: string) => void): NamedRecord | undefined {
  const file = join(folder, name);
  try {
    return { name, record: parseRecord(readFileSync(file, 'utf8')) };
  } catch (error) {
    if (!isMissing(error)) {
      log(`cannot use record "${file}": ${messageOf(error)}`);
    }
    return undefined;
  }
}

/** Files, not those that are being written, nor the folder of locks and allocations. */
function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    if (isMissing(error)) {
      return [];
    }
    throw ioError('read folder', folder, error);
  }
}
