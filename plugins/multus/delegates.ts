import { CniError, quoted } from '../../lib/cni/errors.ts';
import { hugeNumberIn, isObject, type Json, type JsonObject, lookUp, parseJson, sorted } from '../../lib/cni/json.ts';
import { refuseName } from '../../lib/cni/network.ts';
import { invalidKey, type NetworkList, objectAt, parseNetwork, pathOf, textAt } from '../../lib/cni/network-list.ts';
import { parseDns } from '../../lib/cni/result.ts';
import { remembering, rememberingTexts } from '../../lib/sys/remember.ts';
import type { Requests } from './runtime-args.ts';

/** A network that multus runs: a CNI configuration or list. The first is the pod's own, the master. */
export interface Delegate {
  /** in messages and in the scratch file: that of the configuration, or `<namespace>/<name>` when it has an object */
  readonly name: string;
  readonly list: NetworkList;
  readonly requests: Requests;
  /** the scratch file's `Conf`: what the specification knows of the configuration */
  readonly conf: JsonObject;
  /** the scratch file's `ConfList`, likewise; empty for a configuration of one plugin */
  readonly confList: JsonObject;
}

/** A second multus would read the first one's scratch file as its own. */
const OURSELVES = ['multus', 'multus-shim'];

/**
 * The delegates of a configuration, in order.
 *
 * @throws CniError invalidNetworkConfig naming key and value, for the first that cannot be used
 */
export const planDelegates = remembering((documents: readonly JsonObject[]): readonly Delegate[] =>
  documents.map((document, index) => planDelegate(document, `delegates.${index}`)),
);

/**
 * One delegate.
 *
 * @param what leads to it in messages; '' when the configuration is a file's
 * @param bytes the configuration as it was given, when it is kept as such
 * @throws CniError invalidNetworkConfig naming key and value
 */
export function planDelegate(document: JsonObject, what: string, bytes?: Buffer): Delegate {
  const list = parseNetwork(document, what, bytes);
  refuseHugeNumbers(document, what);
  refuse(list, what);
  const isSingle = textAt(document, 'type', what) !== '';
  return {
    name: list.name,
    list,
    requests: {},
    conf: standardConf(document, what),
    confList: isSingle ? {} : standardList(document, list, what),
  };
}

/** A delegate that was made of several files has nothing in `Conf`. */
export const fromFiles = (delegate: Delegate): Delegate => ({ ...delegate, conf: { ipam: {} } });

export const isOurselves = (list: NetworkList): boolean => list.plugins.some(({ type }) => OURSELVES.includes(type));

function refuseHugeNumbers(document: JsonObject, what: string): void {
  const key = hugeNumberIn(document);
  if (key !== undefined) {
    throw new CniError('invalidNetworkConfig', `cannot use ${quoted(pathOf(what, key))}: a number out of range`);
  }
}

function refuse(list: NetworkList, what: string): void {
  const at = what === '' ? '' : `${what}.`;
  const ourselves = list.plugins.find(({ type }) => OURSELVES.includes(type));
  if (ourselves !== undefined) {
    throw new CniError('invalidNetworkConfig', `cannot use "${at}type" "${ourselves.type}": multus would call itself`);
  }
  if (list.name === '') {
    throw new CniError('invalidNetworkConfig', `missing network name: cannot use "${at}name": it is empty`);
  }
  refuseName(list.name, `${at}name`);
}

/** Keys in byte order, `ipam` always, the others when there is something in them. */
function standardConf(document: JsonObject, what: string): JsonObject {
  const capabilities = objectAt(document, 'capabilities', what);
  for (const [key, value] of Object.entries(capabilities)) {
    if (typeof value !== 'boolean' && value !== null) {
      throw invalidKey(what, `capabilities.${key}`, value ?? null, 'is not a boolean');
    }
  }
  const dns = parseDns(objectAt(document, 'dns', what), pathOf(what, 'dns'));
  const ipamType = textAt(objectAt(document, 'ipam', what), 'type', pathOf(what, 'ipam'));
  return sorted({
    ...filled('cniVersion', textAt(document, 'cniVersion', what)),
    ...filled('name', textAt(document, 'name', what)),
    ...filled('type', textAt(document, 'type', what)),
    ...filled(
      'capabilities',
      mapValues(capabilities, (value) => value ?? false),
    ),
    ...filled('dns', dns as JsonObject),
    ...filled('prevResult', objectAt(document, 'prevResult', what)),
    ipam: filled('type', ipamType),
  });
}

function standardList(document: JsonObject, list: NetworkList, what: string): JsonObject {
  return {
    ...filled('cniVersion', textAt(document, 'cniVersion', what)),
    ...filled('name', list.name),
    ...(list.disableCheck ? { disableCheck: true } : {}),
    ...(list.disableGC ? { disableGC: true } : {}),
    plugins: list.plugins.map((plugin, index) => standardConf(plugin.document, pathOf(what, `plugins.${index}`))),
  };
}

/** As Go leaves out what is empty. */
const filled = (key: string, value: string | JsonObject): JsonObject =>
  (typeof value === 'string' ? value === '' : Object.keys(value).length === 0) ? {} : { [key]: value };

const mapValues = (object: JsonObject, change: (value: Json | undefined) => Json): JsonObject =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));

/**
 * The delegate that a stored configuration describes, as far as it is needed to delete it: nothing is checked that was
 * checked before it ran.
 *
 * @throws CniError when it is not a configuration
 */
export function recallDelegate(bytes: Buffer, cniVersion: string): Pick<Delegate, 'name' | 'list'> {
  const { list, isSingle } = storedNetwork(bytes.toString('base64'));
  return { name: list.name, list: list.cniVersion === '' && !isSingle ? { ...list, cniVersion } : list };
}

/** Equal configurations are one: the same networks are stored for many pods. */
const storedNetwork = rememberingTexts((base64): { readonly list: NetworkList; readonly isSingle: boolean } => {
  const bytes = Buffer.from(base64, 'base64');
  const document: unknown = parseJson(bytes.toString('utf8'));
  if (!isObject(document)) {
    throw new CniError('internal', 'cannot use a stored configuration: it is not a JSON object');
  }
  return { list: parseNetwork(document, '', bytes), isSingle: (lookUp(document, 'type') ?? '') !== '' };
});
