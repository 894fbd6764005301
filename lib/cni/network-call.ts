import type { Env } from '../sys/execute.ts';
import type { Verb } from './call.ts';
import { type Answer, callDelegate, type Delegation, foreseeDelegate } from './delegate.ts';
import { CniError, messageOf, withPrefix } from './errors.ts';
import { type JsonObject, lookUp } from './json.ts';
import type { NetworkList, PluginEntry } from './network-list.ts';
import { parseResult, type Result } from './result.ts';
import type { ArgPairs } from './result-cache.ts';
import type { Scope } from './scope.ts';
import { Stdin } from './stdin.ts';
import type { Version } from './versions.ts';

/** Runtime parameters of a network, for one attachment or for none (STATUS, GC). */
export interface RuntimeConf {
  readonly containerId: string;
  readonly netns: string;
  readonly ifName: string;
  readonly args: ArgPairs;
  /** offered to every plugin that declares the capability */
  readonly capabilityArgs: JsonObject;
  /** time limit for executed plugins */
  readonly timeoutMs: number;
  /** the parent of `results` */
  readonly cacheDir: string;
  /** folders to search for plugins, in order */
  readonly path: readonly string[];
  /** base environment; the variables of the contract are added */
  readonly env: Env;
}

/** Result of the last plugin of a network. */
export interface Added {
  readonly result: Result;
  readonly version: Version;
  /** as printed, including unknown keys */
  readonly raw: JsonObject;
}

/** A network and its runtime parameters. */
export interface Running {
  readonly scope: Scope;
  readonly list: NetworkList;
  readonly runtime: RuntimeConf;
}

/** Keys added to a plugin's configuration. */
export type Injected = Readonly<Record<string, unknown>>;

/** For the first plugin of a network. */
export const NOTHING: Injected = {};
/** For `foresee` of those that get a result in ADD. */
export const PROMISED: Injected = { prevResult: {} };

/**
 * Calls one plugin of a network.
 *
 * @throws CniError with the plugin's code
 */
export const callPlugin = (running: Running, verb: Verb, plugin: PluginEntry, injected: Injected): Promise<Answer> =>
  callDelegate(running.scope, delegationOf(running, verb, plugin, injected));

/**
 * Asks one plugin of a network what it would refuse of an ADD.
 *
 * @throws CniError as the plugin would
 */
export function foreseePlugin(running: Running, plugin: PluginEntry, injected: Injected): Promise<void> {
  const delegation = delegationOf(running, 'ADD', plugin, injected);
  if (plugin === running.list.plugins[0]) {
    foreseen.set(running.runtime, delegation.stdin);
  }
  return foreseeDelegate(running.scope, delegation);
}

/** The first plugin's stdin in `foresee`, which ADD passes again. */
const foreseen = new WeakMap<RuntimeConf, Stdin>();

function delegationOf({ list, runtime }: Running, verb: Verb, plugin: PluginEntry, injected: Injected): Delegation {
  const { containerId, netns, ifName, args, path } = runtime;
  return {
    type: plugin.type,
    path,
    env: {
      ...runtime.env,
      CNI_COMMAND: verb,
      CNI_CONTAINERID: containerId,
      CNI_NETNS: netns,
      CNI_ARGS: args.map(([key, value]) => `${key}=${value}`).join(';'),
      CNI_IFNAME: ifName,
      CNI_PATH: path.join(':'),
    },
    stdin:
      (verb === 'ADD' && plugin === list.plugins[0] ? foreseen.get(runtime) : undefined) ??
      stdinOf(list, plugin, runtime, injected),
    timeoutMs: runtime.timeoutMs,
  };
}

/** The plugin's configuration plus what network and runtime add. */
function stdinOf(list: NetworkList, plugin: PluginEntry, runtime: RuntimeConf, injected: Injected): Stdin {
  const offered = plugin.capabilities.filter((key) => runtime.capabilityArgs[key] !== undefined).sort();
  const same = offered.length === 0 ? forAllPods.get(injected) : undefined;
  if (same !== undefined) {
    const known = same.get(plugin);
    if (known?.list === list) {
      return known.stdin;
    }
    const stdin = writeStdin(list, plugin, injected);
    same.set(plugin, { list, stdin });
    return stdin;
  }
  // values keep the key order they came with, as Go's structs do
  const runtimeConfig = Object.fromEntries(offered.map((key) => [key, runtime.capabilityArgs[key]]));
  return writeStdin(list, plugin, { ...injected, ...(offered.length > 0 ? { runtimeConfig } : {}) });
}

/** What a plugin reads to which nothing of a pod is added, by what is. */
const forAllPods = new Map(
  [NOTHING, PROMISED].map((injected) => [
    injected,
    new WeakMap<PluginEntry, { readonly list: NetworkList; readonly stdin: Stdin }>(),
  ]),
);

/** Keys in byte order. */
function writeStdin(list: NetworkList, plugin: PluginEntry, added: Injected): Stdin {
  const document: Record<string, unknown> = {
    ...plugin.document,
    name: list.name,
    cniVersion: list.cniVersion,
    ...added,
  };
  const keys = Object.keys(document).sort();
  return Stdin.saying(Object.fromEntries(keys.map((key) => [key, document[key]])) as JsonObject);
}

/** @throws CniError internal when it is not a result */
export function readAdded(answer: Answer, list: NetworkList): Added {
  const given = answer.result() ?? {};
  const assumed = list.cniVersion === '' ? '0.1.0' : list.cniVersion;
  const raw = (lookUp(given, 'cniVersion') ?? '') === '' ? { ...given, cniVersion: assumed } : given;
  try {
    const { version, ...result } = parseResult(raw, '0.1.0');
    return { result, version, raw };
  } catch (error) {
    throw new CniError('internal', messageOf(error), { cause: error });
  }
}

/** Runs work whose errors name the plugin and the verb. */
export async function withPluginName<T>(plugin: PluginEntry, did: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw failureOf(plugin, did, error);
  }
}

/** @param did the verb, as libcni spells it: `add`, `delete` */
export function failureOf({ type, name }: PluginEntry, did: string, error: unknown): CniError {
  const named = name === '' ? '' : ` name=${JSON.stringify(name)}`;
  return withPrefix(`plugin type=${JSON.stringify(type)}${named} failed (${did})`, error);
}
