import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { CniError, messageOf } from '../../lib/cni/errors.ts';
import { isObject, type JsonObject, lookUp, parseJson } from '../../lib/cni/json.ts';
import { ioError } from '../../lib/sys/io-error.ts';

/** A configuration, as it was read. */
export interface ConfFile {
  readonly document: JsonObject;
  /** undefined when it is not as it was written */
  readonly bytes: Buffer | undefined;
}

const EXTENSIONS = ['.conf', '.json', '.conflist'];

/**
 * The first configuration of a folder, by file name, that has a name.
 *
 * @throws CniError ioFailure or decodeFailure for a file before it that cannot be read, invalidNetworkConfig when there
 * is none
 */
export function confNamed(folder: string, name: string): ConfFile {
  for (const file of confFilesIn(folder)) {
    const found = readConfFile(join(folder, file));
    if (lookUp(found.document, 'name') === name) {
      return found;
    }
  }
  throw new CniError('invalidNetworkConfig', `cannot find a configuration with name "${name}" in "${folder}"`);
}

/** Names of the files that may be configurations. */
export const confFilesIn = (folder: string): readonly string[] =>
  filesIn(folder).filter((file) => EXTENSIONS.includes(extname(file)));

/** @throws CniError ioFailure, decodeFailure */
export function readConfFile(file: string): ConfFile {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw ioError('read', file, error);
  }
  let document: unknown;
  try {
    document = parseJson(bytes.toString('utf8'));
  } catch (error) {
    throw new CniError('decodeFailure', `cannot read "${file}": ${messageOf(error)}`);
  }
  if (!isObject(document)) {
    throw new CniError('decodeFailure', `cannot read "${file}": it is not a JSON object`);
  }
  return { document, bytes };
}

/** Sorted by name; folders and folders that are not there have none. */
export function filesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return [];
    }
    throw ioError('read folder', folder, error);
  }
}

export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw ioError('find', path, error);
  }
}
