import { isShortage } from '../sys/io-error.ts';
import type { Attachment } from './call.ts';
import { CniError, combineErrors, withPrefix } from './errors.ts';
import { type JsonObject, lookUp, sorted } from './json.ts';
import {
  type Added,
  callPlugin,
  foreseePlugin,
  type Injected,
  NOTHING,
  PROMISED,
  type RuntimeConf,
  readAdded,
  withPluginName,
} from './network-call.ts';
import { type NetworkList, supports } from './network-list.ts';
import { identifierFault } from './read-call.ts';
import { refuseLongRecord } from './record-name.ts';
import { formatResult, parseResult } from './result.ts';
import { type CacheKey, readCached, removeCached, removeEarlier, writeCached } from './result-cache.ts';
import type { Scope } from './scope.ts';
import { isVersion } from './versions.ts';

export type { Added, RuntimeConf } from './network-call.ts';

/**
 * ADD: runs the plugins in order, each with the previous one's result, and records the last result. Undoing after a
 * failure is up to the caller.
 *
 * @throws CniError with the plugin's code
 */
export async function addNetwork(scope: Scope, list: NetworkList, runtime: RuntimeConf): Promise<Added> {
  refuseName(list.name);
  refuseLongRecord(keyOf(list, runtime));
  removeEarlier(runtime.cacheDir, keyOf(list, runtime)); // with it, DEL would not find this attachment
  let added: Added | undefined;
  for (const plugin of list.plugins) {
    added = await withPluginName(plugin, 'add', async () =>
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
    throw withPrefix(`failed to set network "${list.name}" cached result`, error); // libcni's words
  }
  return added;
}

/**
 * Refuses what ADD of a network would refuse before it touches anything: its version, the length of its record's name,
 * missing plugins, and whatever plugins of this build foresee.
 *
 * @throws CniError as ADD would
 */
export async function foreseeNetwork(scope: Scope, list: NetworkList, runtime: RuntimeConf): Promise<void> {
  if (list.cniVersion !== '' && !isVersion(list.cniVersion)) {
    const version = JSON.stringify(list.cniVersion);
    throw new CniError('incompatibleVersion', `cannot use network "${list.name}": unsupported cniVersion ${version}`);
  }
  refuseLongRecord(keyOf(list, runtime));
  for (const [index, plugin] of list.plugins.entries()) {
    const injected = index === 0 ? NOTHING : PROMISED;
    await withPluginName(plugin, 'add', () => foreseePlugin({ scope, list, runtime }, plugin, injected));
  }
}

/**
 * DEL: runs the plugins in reverse order with the recorded result and what ADD has offered to them, continues after a
 * failure, and deletes the record when all succeeded.
 *
 * @throws CniError with the code of the first failure
 */
export async function delNetwork(scope: Scope, list: NetworkList, given: RuntimeConf): Promise<void> {
  const { prevResult, capabilityArgs } = recordedOrNothing(list, given);
  const runtime = { ...given, capabilityArgs: { ...capabilityArgs, ...given.capabilityArgs } };
  const errors: unknown[] = [];
  for (const plugin of list.plugins.toReversed()) {
    await withPluginName(plugin, 'delete', () => callPlugin({ scope, list, runtime }, 'DEL', plugin, prevResult)).catch(
      (error) => errors.push(error),
    );
  }
  const failure = combineErrors(errors, ' / ');
  if (failure !== undefined) {
    throw failure;
  }
  removeCached(runtime.cacheDir, keyOf(list, runtime));
}

/**
 * CHECK: runs the plugins in order with the recorded result.
 *
 * @throws CniError with the plugin's code; incompatibleVersion when the network's version has no CHECK
 */
export async function checkNetwork(scope: Scope, list: NetworkList, runtime: RuntimeConf): Promise<void> {
  if (!supports(list, '0.4.0')) {
    const version = JSON.stringify(list.cniVersion);
    const fault = `configuration version ${version} does not support the CHECK command`; // libcni's words
    throw new CniError('incompatibleVersion', fault);
  }
  if (list.disableCheck) {
    return;
  }
  const prevResult = recorded(list, runtime);
  for (const plugin of list.plugins) {
    await withPluginName(plugin, 'check', () => callPlugin({ scope, list, runtime }, 'CHECK', plugin, prevResult));
  }
}

/**
 * STATUS: calls the plugins in order. Succeeds for a network whose version has no STATUS.
 *
 * @throws CniError with the plugin's code
 */
export async function statusNetwork(scope: Scope, list: NetworkList, runtime: RuntimeConf): Promise<void> {
  if (!supports(list, '1.1.0')) {
    return;
  }
  for (const plugin of list.plugins) {
    await callPlugin({ scope, list, runtime }, 'STATUS', plugin, NOTHING);
  }
}

/**
 * GC: tells every plugin which attachments of this network are valid. Deleting the others is up to the caller.
 *
 * @param valid undefined when the runtime did not say; then the plugins are not told either
 * @throws CniError with the code of the first failure, after all plugins were called
 */
export async function gcNetwork(
  scope: Scope,
  list: NetworkList,
  runtime: RuntimeConf,
  valid: readonly Attachment[] | undefined,
): Promise<void> {
  if (list.disableGC || !supports(list, '1.1.0')) {
    return;
  }
  // cni.dev/attachments is the name in an early draft of the specification; libcni sends both
  const told = valid === undefined ? NOTHING : { 'cni.dev/attachments': valid, 'cni.dev/valid-attachments': valid };
  const errors: unknown[] = [];
  for (const plugin of list.plugins) {
    await withPluginName(plugin, 'gc', () => callPlugin({ scope, list, runtime }, 'GC', plugin, told)).catch((error) =>
      errors.push(error),
    );
  }
  const failure = combineErrors(errors, ' / ');
  if (failure !== undefined) {
    throw failure;
  }
}

/** The recorded result, in the network's version. */
function recorded(list: NetworkList, runtime: RuntimeConf): Injected {
  return prevResultOf(inVersion(readCached(runtime.cacheDir, keyOf(list, runtime))?.result, list));
}

function inVersion(result: JsonObject | undefined, { cniVersion }: NetworkList): JsonObject | undefined {
  if (result === undefined || lookUp(result, 'cniVersion') === cniVersion || !isVersion(cniVersion)) {
    return result;
  }
  return formatResult(parseResult(result, cniVersion, 'cached result'), cniVersion);
}

/** DEL continues without a record, and with one that can never be read. */
function recordedOrNothing(list: NetworkList, runtime: RuntimeConf) {
  const nothing = { prevResult: NOTHING, capabilityArgs: {} };
  if (!supports(list, '0.4.0')) {
    return nothing;
  }
  try {
    const { result, capabilityArgs = {} } = readCached(runtime.cacheDir, keyOf(list, runtime)) ?? {};
    return { prevResult: prevResultOf(inVersion(result, list)), capabilityArgs };
  } catch (error) {
    if (isShortage(error)) {
      throw error; // a retry can read it
    }
    return nothing;
  }
}

const prevResultOf = (raw: JsonObject | undefined): Injected =>
  raw === undefined ? NOTHING : { prevResult: sorted(raw) };

const keyOf = (list: NetworkList, { containerId, ifName }: RuntimeConf): CacheKey => ({
  network: list.name,
  containerId,
  ifName,
});

/** @throws CniError invalidNetworkConfig: the name becomes part of a file name */
export function refuseName(name: string, what = 'name'): void {
  const fault = name === '' ? 'is missing' : identifierFault(name);
  if (fault !== undefined) {
    const told = name === '' ? 'missing network name' : `cannot use "${what}" ${JSON.stringify(name)}: it ${fault}`;
    throw new CniError('invalidNetworkConfig', told, { details: name });
  }
}
