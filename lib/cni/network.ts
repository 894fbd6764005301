import { isShortage } from '../sys/io-error.ts';
import type { Attachment } from './call.ts';
import { CniError, combined, within } from './errors.ts';
import { type JsonObject, lookUp, sorted } from './json.ts';
import {
  type Added,
  callPlugin,
  failingAs,
  foreseePlugin,
  type Injected,
  type RuntimeConf,
  readAdded,
} from './network-call.ts';
import { type NetworkList, speaks } from './network-list.ts';
import { identifierFault } from './read-call.ts';
import { refuseLongRecord } from './record-name.ts';
import { formatResult, parseResult } from './result.ts';
import { type CacheKey, readCached, removeCached, writeCached } from './result-cache.ts';
import type { Scope } from './scope.ts';
import { isVersion } from './versions.ts';

export type { Added, RuntimeConf } from './network-call.ts';

/**
 * ADD: runs the plugins in order, each with the result of the one before, and records the last result. Nothing is
 * taken back when a plugin fails: that is the caller's part.
 *
 * @throws CniError with the code that the plugin answered
 */
export async function addNetwork(scope: Scope, list: NetworkList, runtime: RuntimeConf): Promise<Added> {
  refuseName(list.name);
  refuseLongRecord(keyOf(list, runtime));
  let added: Added | undefined;
  for (const plugin of list.plugins) {
    added = await failingAs(plugin, 'add', async () =>
      readAdded(await callPlugin({ scope, list, runtime }, 'ADD', plugin, prevResultOf(added?.raw)), list),
    );
  }
  if (added === undefined) {
    throw new CniError('invalidNetworkConfig', `cannot use network "${list.name}": it has no plugin`);
  }
  try {
    const { netns, args, capabilityArgs, cacheDir } = runtime;
    const what = { ...keyOf(list, runtime), netns, args, capabilityArgs, config: list.bytes, result: added.raw };
    writeCached(cacheDir, what);
  } catch (error) {
    throw within(`failed to set network "${list.name}" cached result`, error);
  }
  return added;
}

/**
 * Refuses what ADD of a network would refuse before it touches anything: its version, what its record would be called,
 * plugins that are not there, and whatever plugins of this build foresee.
 *
 * @throws CniError as ADD would have it
 */
export async function foreseeNetwork(scope: Scope, list: NetworkList, runtime: RuntimeConf): Promise<void> {
  if (list.cniVersion !== '' && !isVersion(list.cniVersion)) {
    const version = JSON.stringify(list.cniVersion);
    throw new CniError('incompatibleVersion', `cannot use network "${list.name}": unsupported cniVersion ${version}`);
  }
  refuseLongRecord(keyOf(list, runtime));
  for (const [index, plugin] of list.plugins.entries()) {
    const injected = index === 0 ? {} : { prevResult: {} };
    await failingAs(plugin, 'add', () => foreseePlugin({ scope, list, runtime }, plugin, injected));
  }
}

/**
 * DEL: runs the plugins in reverse order with the recorded result, goes on after a failure, and forgets the record
 * when all is gone.
 *
 * @throws CniError with the code of the first failure
 */
export async function delNetwork(scope: Scope, list: NetworkList, runtime: RuntimeConf): Promise<void> {
  const prevResult = recordedOrNothing(list, runtime);
  const errors: unknown[] = [];
  for (const plugin of list.plugins.toReversed()) {
    await failingAs(plugin, 'delete', () => callPlugin({ scope, list, runtime }, 'DEL', plugin, prevResult)).catch(
      (error) => errors.push(error),
    );
  }
  const failure = combined(errors, ' / ');
  if (failure !== undefined) {
    throw failure;
  }
  removeCached(runtime.cacheDir, keyOf(list, runtime));
}

/**
 * CHECK: runs the plugins in order with the recorded result.
 *
 * @throws CniError with the code that the plugin answered; incompatibleVersion when the network is older than CHECK
 */
export async function checkNetwork(scope: Scope, list: NetworkList, runtime: RuntimeConf): Promise<void> {
  if (!speaks(list, '0.4.0')) {
    const version = JSON.stringify(list.cniVersion);
    throw new CniError('incompatibleVersion', `configuration version ${version} does not support the CHECK command`);
  }
  if (list.disableCheck) {
    return;
  }
  const prevResult = recorded(list, runtime);
  for (const plugin of list.plugins) {
    await failingAs(plugin, 'check', () => callPlugin({ scope, list, runtime }, 'CHECK', plugin, prevResult));
  }
}

/**
 * STATUS: asks the plugins in order. A network older than STATUS is fine as it is.
 *
 * @throws CniError as the plugin answered it
 */
export async function statusNetwork(scope: Scope, list: NetworkList, runtime: RuntimeConf): Promise<void> {
  if (!speaks(list, '1.1.0')) {
    return;
  }
  for (const plugin of list.plugins) {
    await callPlugin({ scope, list, runtime }, 'STATUS', plugin, {});
  }
}

/**
 * GC: tells every plugin which attachments of this network are valid. Deleting the others is the caller's part.
 *
 * @param valid undefined when the runtime did not say, and then the plugins are told nothing either
 * @throws CniError with the code of the first failure, after all plugins were asked
 */
export async function gcNetwork(
  scope: Scope,
  list: NetworkList,
  runtime: RuntimeConf,
  valid: readonly Attachment[] | undefined,
): Promise<void> {
  if (list.disableGC || !speaks(list, '1.1.0')) {
    return;
  }
  // cni.dev/attachments is what an early text of the specification called it, and libcni sends both
  const told = valid === undefined ? {} : { 'cni.dev/attachments': valid, 'cni.dev/valid-attachments': valid };
  const errors: unknown[] = [];
  for (const plugin of list.plugins) {
    await failingAs(plugin, 'gc', () => callPlugin({ scope, list, runtime }, 'GC', plugin, told)).catch((error) =>
      errors.push(error),
    );
  }
  const failure = combined(errors, ' / ');
  if (failure !== undefined) {
    throw failure;
  }
}

/** The recorded result, in the network's version. */
function recorded(list: NetworkList, runtime: RuntimeConf): Injected {
  const result = readCached(runtime.cacheDir, keyOf(list, runtime))?.result;
  if (result === undefined || lookUp(result, 'cniVersion') === list.cniVersion || !isVersion(list.cniVersion)) {
    return prevResultOf(result);
  }
  return prevResultOf(formatResult(parseResult(result, list.cniVersion, 'cached result'), list.cniVersion));
}

/** DEL goes on without a record, as it does with one that can never be read. */
function recordedOrNothing(list: NetworkList, runtime: RuntimeConf): Injected {
  if (!speaks(list, '0.4.0')) {
    return {};
  }
  try {
    return recorded(list, runtime);
  } catch (error) {
    if (isShortage(error)) {
      throw error; // the next DEL can read it
    }
    return {};
  }
}

const prevResultOf = (raw: JsonObject | undefined): Injected => (raw === undefined ? {} : { prevResult: sorted(raw) });

const keyOf = (list: NetworkList, { containerId, ifName }: RuntimeConf): CacheKey => ({
  network: list.name,
  containerId,
  ifName,
});

/** @throws CniError invalidNetworkConfig: the name becomes part of a file's name */
export function refuseName(name: string, what = 'name'): void {
  const fault = name === '' ? 'is missing' : identifierFault(name);
  if (fault !== undefined) {
    const told = name === '' ? 'missing network name' : `cannot use "${what}" ${JSON.stringify(name)}: it ${fault}`;
    throw new CniError('invalidNetworkConfig', told, { details: name });
  }
}
