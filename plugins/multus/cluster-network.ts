import { dirname, extname, join } from 'node:path';
import { CniError, withPrefix } from '../../lib/cni/errors.ts';
import { type Json, type JsonObject, lookUp } from '../../lib/cni/json.ts';
import { refuseName } from '../../lib/cni/network.ts';
import { flagOf } from '../../lib/cni/network-list.ts';
import { confFilesIn, filesIn, isFolder, readConfFile } from './conf-files.ts';
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
  const { document, bytes } = readConfFile(path);
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
  const names = confFilesIn(folder);
  const [first] = names;
  if (first === undefined || names.every((name) => extname(name) === '.json')) {
    throw new CniError('invalidNetworkConfig', `cannot use folder "${folder}": it holds no .conf and no .conflist`);
  }
  const file = join(folder, first);
  const { document, bytes } = readConfFile(file);
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
    .map((name) => readConfFile(join(folder, name)).document);
