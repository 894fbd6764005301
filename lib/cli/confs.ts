import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../cni/errors.ts';
import { isObject, type Json, type JsonObject, lookUp } from '../cni/json.ts';
import { isMissing } from '../sys/io-error.ts';

/** A file in the folder of the runtime's configurations. */
export interface ConfFile {
  readonly path: string;
  /** undefined when it is not a JSON object */
  readonly document: JsonObject | undefined;
  readonly fault: string;
}

const ENDINGS = /\.(conf|conflist|json)$/;

/** Those that a runtime reads, in its order. No folder is no file. */
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

/** Every plugin's configuration in a network's, also those of delegates, with the name and version of its network. */
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
 * Configurations of one plugin, one for each place that they lead to.
 *
 * @param fallback leads to the usual place, which is looked at in any case
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

/** Equal ones once. */
export function distinct(confs: readonly JsonObject[]): readonly JsonObject[] {
  return [...new Map(confs.map((conf) => [JSON.stringify(conf), conf])).values()];
}

/** A text of a configuration; '' when it has none. */
export function textIn(document: JsonObject, key: string): string {
  const value = lookUp(document, key);
  return typeof value === 'string' ? value : '';
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
