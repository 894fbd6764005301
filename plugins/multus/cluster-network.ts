import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { CniError, messageOf, withPrefix } from '../../lib/cni/errors.ts';
import { isObject, type Json, type JsonObject, lookUp, parseJson } from '../../lib/cni/json.ts';
import { refuseName } from '../../lib/cni/network.ts';
import { flagOf } from '../../lib/cni/network-list.ts';
import { ioError } from '../../lib/sys/io-error.ts';
import { type Delegate, fromFiles, planDelegate } from './delegates.ts';

/**
 * The delegate that a path leads to: a folder (its first configuration), a `.conflist`, or another file with the
 * configuration of one plugin.
 *
 * @throws CniError ioFailure, decodeFailure or invalidNetworkConfig, naming the file
 */
export function delegateAt(path: string): Delegate {
  if (isFolder(path)) {
    return delegateOfFolder(path);
  }
  const { document, bytes } = readDocument(path);
  return naming(path, () => {
    if (path.endsWith('.conflist')) {
      return fromFiles(planDelegate(withChained(document, path), ''));
    }
    if ((lookUp(document, 'type') ?? '') === '') {
      throw new CniError('invalidNetworkConfig', `cannot use "type": ${JSON.stringify(document)} has none`);
    }
    return planDelegate(document, '', bytes);
  });
}

/**
 * The list of plugins that are chained after all networks: `passthru`, then every configuration in the folder of that
 * name beside the cluster network's file.
 *
 * @returns undefined when that folder has none
 */
export function auxiliaryChain(name: string, clusterNetwork: string, cniVersion: string): Delegate | undefined {
  const chained = chainedPlugins(join(dirname(clusterNetwork), name));
  if (chained.length === 0) {
    return undefined;
  }
  const first = { type: 'passthru', name: 'passthru-cni' };
  const document = { ...(cniVersion === '' ? {} : { cniVersion }), name, plugins: [first, ...chained] };
  return fromFiles(planDelegate(document, 'auxiliaryCNIChainName'));
}

/** Taken as it is: plugins are chained by a subfolder only to a list that is named itself. */
function delegateOfFolder(folder: string): Delegate {
  const names = filesIn(folder).filter((name) => ['.conf', '.json', '.conflist'].includes(extname(name)));
  const [first] = names;
  if (first === undefined || names.every((name) => extname(name) === '.json')) {
    throw new CniError('invalidNetworkConfig', `cannot use folder "${folder}": it holds no .conf and no .conflist`);
  }
  const file = join(folder, first);
  const { document, bytes } = readDocument(file);
  return naming(file, () => planDelegate(document, '', bytes));
}

function naming<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw withPrefix(`file "${file}"`, error);
  }
}

function withChained(document: JsonObject, path: string): JsonObject {
  const name = lookUp(document, 'name') ?? '';
  if (typeof name !== 'string') {
    throw new CniError('invalidNetworkConfig', `cannot use "name": ${JSON.stringify(name)} is not a string`);
  }
  refuseName(name);
  const inlinedOnly = flagOf(document, 'loadOnlyInlinedPlugins');
  const plugins = lookUp(document, 'plugins') ?? (inlinedOnly ? undefined : []);
  if (!Array.isArray(plugins)) {
    const value = JSON.stringify(plugins) ?? 'nothing';
    throw new CniError('invalidNetworkConfig', `cannot use "plugins": ${value} is not a list`);
  }
  if (inlinedOnly) {
    return document;
  }
  const others = Object.entries(document).filter(([key]) => key.toLowerCase() !== 'plugins');
  const chained = chainedPlugins(join(dirname(path), name));
  return { ...Object.fromEntries(others), plugins: [...(plugins as readonly Json[]), ...chained] };
}

const chainedPlugins = (folder: string): readonly JsonObject[] =>
  filesIn(folder)
    .filter((name) => extname(name) === '.conf')
    .map((name) => readDocument(join(folder, name)).document);

function readDocument(file: string): { document: JsonObject; bytes: Buffer } {
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
function filesIn(folder: string): readonly string[] {
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

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw ioError('find', path, error);
  }
}
