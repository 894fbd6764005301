import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../cni/errors.ts';
import { isObject, type Json, type JsonObject, lookUp, textIn } from '../cni/json.ts';
import { isMissing } from '../sys/io-error.ts';

/** A file in the runtime's configuration folder. */
export interface ConfFile {
  readonly path: string;
  /** undefined when it is not a JSON object */
  readonly document: JsonObject | undefined;
  readonly fault: string;
}

const ENDINGS = /\.(conf|conflist|json)$/;

/** The files that a runtime reads, in its order; none if the folder is missing. */
export function confFilesIn(folder: string): readonly ConfFile[] {
  return namesIn(folder)
    .filter((name) => ENDINGS.test(name))
    .map((name) => {
      const path = join(folder, name);
      try {
        const document: unknown = JSON.parse(readFileSync(path, 'utf8'));
        return isObject(document)
          ? { path, document, fault: '' }
          : { path, document: undefined, fault: 'it is not a JSON object' };
      } catch (error) {
        return { path, document: undefined, fault: messageOf(error) };
      }
    });
}

/** The configuration of every plugin in a network's, including delegates, with name and version of its network. */
export function pluginConfsIn(document: JsonObject, above: JsonObject = {}): readonly JsonObject[] {
  const named = { ...pick(above, 'name', 'cniVersion'), ...document };
  const own = typeof lookUp(document, 'type') === 'string' && lookUp(document, 'type') !== '' ? [named] : [];
  const below = ['plugins', 'delegates'].flatMap((key) => {
    const list = lookUp(document, key);
    return Array.isArray(list) ? (list as readonly Json[]).filter(isObject) : [];
  });
  return [...own, ...below.flatMap((inner) => pluginConfsIn(inner, named))];
}

/**
 * Configurations of one plugin, one per record place.
 *
 * @param fallback leads to the default place, which is always included
 */
export function confsOfType(
  confs: readonly JsonObject[],
  type: string,
  fallback: JsonObject | undefined,
  placeIn: (conf: JsonObject) => string,
): readonly JsonObject[] {
  const configured = confs.filter((conf) => textIn(conf, 'type') === type);
  const own = fallback === undefined ? configured : [fallback, ...configured];
  return [...new Map(own.map((conf) => [placeIn(conf), conf])).values()];
}

/** Without duplicates. */
export function distinct(confs: readonly JsonObject[]): readonly JsonObject[] {
  return [...new Map(confs.map((conf) => [JSON.stringify(conf), conf])).values()];
}

const pick = (document: JsonObject, ...keys: readonly string[]): JsonObject =>
  Object.fromEntries(keys.map((key) => [key, lookUp(document, key)]).filter(([, value]) => value !== undefined));

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if (isMissing(error)) {
      return [];
    }
    throw error;
  }
}
