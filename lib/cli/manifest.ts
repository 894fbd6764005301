import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CniError, messageOf } from '../cni/errors.ts';
import { isObject } from '../cni/json.ts';
import { writeAtomically } from '../sys/atomic-file.ts';
import { ioError, isMissing } from '../sys/io-error.ts';

const FORMAT = 1;

/** What install has put into a folder: a hidden file there, which runtimes pass over. */
export interface Manifest {
  readonly version: string;
  readonly build: string;
  readonly form: string;
  /** by name */
  readonly files: Readonly<Record<string, Installed>>;
}

export interface Installed {
  readonly sha256: string;
  /** where the plugin is that had the name before */
  readonly before?: string;
}

export const manifestIn = (bin: string): string => join(bin, '.braid.json');

/** The name under which a foreign plugin is kept. */
export const beforeName = (name: string): string => `${name}.before-braid`;

/**
 * @returns undefined when nothing is installed
 * @throws CniError ioFailure
 */
export function readManifest(bin: string): Manifest | undefined {
  const path = manifestIn(bin);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw ioError('read', path, error);
  }
  const value = parsed(text, path);
  if (!isObject(value) || value['format'] !== FORMAT || !isObject(value['files'])) {
    throw new CniError('ioFailure', `cannot read "${path}": it is not a list of format ${FORMAT}`);
  }
  return value as unknown as Manifest;
}

/** @throws CniError ioFailure */
export function writeManifest(bin: string, manifest: Manifest): void {
  writeAtomically(manifestIn(bin), `${JSON.stringify({ format: FORMAT, ...manifest }, null, 2)}\n`, { mode: 0o644 });
}

function parsed(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CniError('ioFailure', `cannot read "${path}": ${messageOf(error)}`, { cause: error });
  }
}
