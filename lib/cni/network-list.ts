import { CniError, quoted } from './errors.ts';
import { compact, isObject, type Json, type JsonObject, lookUp, sorted } from './json.ts';
import { atLeast, compareVersions, NEWEST } from './versions.ts';

/** One plugin of a network, as configured. */
export interface PluginEntry {
  /** keys in byte order */
  readonly document: JsonObject;
  readonly type: string;
  /** '' for most plugins of a list */
  readonly name: string;
  /** capabilities declared true */
  readonly capabilities: readonly string[];
}

/** A network: plugins that run in order. A single plugin's configuration is a network of one. */
export interface NetworkList {
  readonly name: string;
  /** '' when the configuration names none, which means 0.1.0 */
  readonly cniVersion: string;
  readonly plugins: readonly PluginEntry[];
  readonly disableCheck: boolean;
  readonly disableGC: boolean;
  /** the configuration, for the result cache */
  readonly bytes: Buffer;
}

/**
 * Parses a network from a configuration of one plugin (it has a `type`) or of a list. Reads only what is needed to run
 * it.
 *
 * @param what path to the document, for messages: `delegates.0`
 * @param bytes the configuration as given; by default serialised with keys in byte order
 * @throws CniError invalidNetworkConfig naming key and value
 */
export function parseNetwork(given: JsonObject, what = '', bytes?: Buffer): NetworkList {
  const document = sorted(given);
  const isSingle = textAt(document, 'type', what) !== '';
  return {
    name: textAt(document, 'name', what),
    cniVersion: isSingle ? textAt(document, 'cniVersion', what) : listVersion(document, what),
    plugins: isSingle ? [pluginOf(document, what)] : pluginsOf(document, what),
    disableCheck: !isSingle && flagOf(document, 'disableCheck', what),
    disableGC: !isSingle && flagOf(document, 'disableGC', what),
    bytes: bytes ?? Buffer.from(compact(document)),
  };
}

/** Whether the network's version is at least `since`. False for an unreadable version. */
export function supports(list: NetworkList, since: '0.4.0' | '1.1.0'): boolean {
  try {
    return atLeast(list.cniVersion, since);
  } catch {
    return false;
  }
}

/** A flag of a list: a boolean, or the strings "true" and "false". */
export function flagOf(document: JsonObject, key: string, what = ''): boolean {
  const value = lookUp(document, key) ?? false;
  const word = typeof value === 'string' ? value.toLowerCase() : value;
  if (word === true || word === 'true') {
    return true;
  }
  if (word === false || word === 'false') {
    return false;
  }
  throw invalidKey(what, key, value, 'is not a boolean');
}

function pluginsOf(document: JsonObject, what: string): readonly PluginEntry[] {
  const plugins = lookUp(document, 'plugins');
  if (plugins === undefined || plugins === null) {
    const where = what === '' ? 'the network configuration' : `"${what}"`;
    throw new CniError(
      'invalidNetworkConfig',
      `cannot use ${where}: ${quoted(document)} has neither "type" nor "plugins"`,
    );
  }
  if (!Array.isArray(plugins)) {
    throw invalidKey(what, 'plugins', plugins as Json, 'is not a list');
  }
  if (plugins.length === 0) {
    throw invalidKey(what, 'plugins', plugins as Json, 'has no plugin');
  }
  return plugins.map((plugin: Json, index) => {
    if (!isObject(plugin)) {
      throw invalidKey(what, `plugins.${index}`, plugin, 'is not an object');
    }
    return pluginOf(plugin, pathOf(what, `plugins.${index}`));
  });
}

function pluginOf(document: JsonObject, what: string): PluginEntry {
  const type = textAt(document, 'type', what);
  if (type === '') {
    throw new CniError(
      'invalidNetworkConfig',
      `cannot use "${pathOf(what, 'type')}": ${quoted(document)} has no "type"`,
    );
  }
  const capabilities = objectAt(document, 'capabilities', what);
  return {
    document,
    type,
    name: textAt(document, 'name', what),
    capabilities: Object.keys(capabilities).filter((key) => capabilities[key] === true),
  };
}

/** The highest of `cniVersion` and `cniVersions` that we support. */
function listVersion(document: JsonObject, what: string): string {
  const single = textAt(document, 'cniVersion', what);
  const several = lookUp(document, 'cniVersions') ?? [];
  if (!Array.isArray(several)) {
    throw invalidKey(what, 'cniVersions', several, 'is not a list');
  }
  if (several.length === 0) {
    return single;
  }
  const versions = several.map((version: Json, index) => {
    if (typeof version !== 'string') {
      throw invalidKey(what, `cniVersions.${index}`, version, 'is not a string');
    }
    return version;
  });
  const spoken = [single, ...versions].filter((version) => version !== '' && compareVersions(version, NEWEST) <= 0);
  return spoken.sort(compareVersions).at(-1) ?? single;
}

/** A string; null and absent are ''. */
export function textAt(document: JsonObject, key: string, what: string): string {
  const value = lookUp(document, key) ?? '';
  if (typeof value !== 'string') {
    throw invalidKey(what, key, value, 'is not a string');
  }
  return value;
}

/** An object; null and absent are empty. */
export function objectAt(document: JsonObject, key: string, what: string): JsonObject {
  const value = lookUp(document, key) ?? {};
  if (!isObject(value)) {
    throw invalidKey(what, key, value, 'is not an object');
  }
  return value;
}

/** The path of a key below `what`. */
export const pathOf = (what: string, key: string): string => (what === '' ? key : `${what}.${key}`);

/** The error for an invalid value. */
export const invalidKey = (what: string, key: string, value: Json, fault: string): CniError =>
  new CniError('invalidNetworkConfig', `cannot use "${pathOf(what, key)}": ${quoted(value)} ${fault}`);
