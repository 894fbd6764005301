import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CniError, messageOf } from '../../lib/cni/errors.ts';
import { isObject } from '../../lib/cni/json.ts';
import type { Picture } from '../../lib/link/picture.ts';
import { makeFolder, removeWritten, writeAtomically } from '../../lib/sys/atomic-file.ts';
import { ioError, isMissing } from '../../lib/sys/io-error.ts';

const DEFAULT_DATA_DIR = '/var/lib/cni/host-device';
const FORMAT = 1;

/** Whose a device is, and what it was before: written before it is touched, gone when it is back. */
export interface DeviceRecord {
  readonly network: string;
  readonly containerId: string;
  readonly ifName: string;
  /** CNI_NETNS of ADD */
  readonly netns: string;
  /** make it again what it was, or give back its name only */
  readonly restore: boolean;
  readonly picture: Picture;
}

/** Names the record of an attachment. */
export type RecordKey = Pick<DeviceRecord, 'containerId' | 'ifName'>;

export const recordFolder = (dataDir: string): string => dataDir || DEFAULT_DATA_DIR;

/** @throws CniError ioFailure */
export function writeRecord(folder: string, record: DeviceRecord): void {
  makeFolder(folder);
  writeAtomically(fileOf(folder, record), JSON.stringify({ format: FORMAT, ...record }, bytesAsText), { mode: 0o600 });
}

/**
 * @returns undefined when there is none
 * @throws CniError ioFailure when it cannot be read
 */
export function readRecord(folder: string, key: RecordKey): DeviceRecord | undefined {
  const file = fileOf(folder, key);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw ioError('read', file, error);
  }
  return parseRecord(text, file);
}

/** @throws CniError ioFailure */
export function removeRecord(folder: string, key: RecordKey): void {
  const file = fileOf(folder, key);
  try {
    removeWritten(file);
  } catch (error) {
    throw ioError('remove', file, error);
  }
}

/** Every record that can be read. */
export function listRecords(folder: string, log: (line: string) => void): readonly DeviceRecord[] {
  return namesIn(folder).flatMap((name) => {
    const file = join(folder, name);
    try {
      return [parseRecord(readFileSync(file, 'utf8'), file)];
    } catch (error) {
      log(`cannot use record "${file}": ${messageOf(error)}`);
      return [];
    }
  });
}

export const fileOf = (folder: string, { containerId, ifName }: RecordKey): string =>
  join(folder, `${containerId}-${ifName}`);

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => !name.startsWith('.'))
      .sort();
  } catch (error) {
    if (isMissing(error)) {
      return [];
    }
    throw ioError('read folder', folder, error);
  }
}

function parseRecord(text: string, file: string): DeviceRecord {
  let value: unknown;
  try {
    value = JSON.parse(text, textAsBytes);
  } catch (error) {
    throw new CniError('ioFailure', `cannot read record "${file}": ${messageOf(error)}`, { cause: error });
  }
  if (!isObject(value) || value['format'] !== FORMAT) {
    throw new CniError('ioFailure', `cannot read record "${file}": it is not a record of format ${FORMAT}`);
  }
  return value as unknown as DeviceRecord;
}

/** Buffers turn into `{ type: 'Buffer', data: [...] }` before a replacer sees them. */
function bytesAsText(_key: string, value: unknown): unknown {
  const bytes = value as { readonly type?: unknown; readonly data?: unknown } | null;
  return bytes?.type === 'Buffer' && Array.isArray(bytes.data)
    ? { base64: Buffer.from(bytes.data as number[]).toString('base64') }
    : value;
}

function textAsBytes(_key: string, value: unknown): unknown {
  const text = (value as { readonly base64?: unknown } | null)?.base64;
  return typeof text === 'string' ? Buffer.from(text, 'base64') : value;
}
