/** What a pod adds to the configuration of one of its networks. */
import { compact, isObject, type Json, type JsonObject, lookUp, sorted } from '../../../lib/cni/json.ts';
import { objectAt, pathOf, textAt } from '../../../lib/cni/network-list.ts';

/** A network's configuration: as a document, and as it is recorded. */
export interface Configuration {
  readonly document: JsonObject;
  /** undefined: as the document is printed, with its keys in byte order */
  readonly bytes: Buffer | undefined;
}

export interface Injection {
  /** of the device that the network gets; undefined or '': none */
  readonly deviceId?: string | undefined;
  /** `cni-args` of the annotation */
  readonly cniArgs?: JsonObject | undefined;
}

/** Either is what some plugin looks for. */
const DEVICE_KEYS = ['deviceID', 'pciBusID'] as const;

/**
 * The configuration with the device, and with the annotation's arguments in `args.cni`, where they replace those that are
 * there: in a configuration of one plugin, and in every plugin of a list. The same configuration, to the byte, where there
 * is nothing to inject; what is no configuration is left to the one who reads it.
 *
 * @param what leads to the configuration, in messages
 * @throws CniError invalidNetworkConfig when `args` or `args.cni` is not an object
 */
export function inject(given: Configuration, what: string, { deviceId = '', cniArgs = {} }: Injection): Configuration {
  const isEmpty = Object.keys(cniArgs).length === 0;
  if (deviceId === '' && isEmpty) {
    return given;
  }
  const change = (plugin: JsonObject, path: string): JsonObject => {
    const equipped = deviceId === '' ? plugin : withDevice(plugin, deviceId);
    return isEmpty ? equipped : withArgs(equipped, path, cniArgs);
  };
  const document = sorted(changed(given.document, what, change));
  return { document, bytes: Buffer.from(compact(document)) };
}

function changed(
  document: JsonObject,
  what: string,
  change: (plugin: JsonObject, path: string) => JsonObject,
): JsonObject {
  if (textAt(document, 'type', what) !== '') {
    return change(document, what);
  }
  const plugins = lookUp(document, 'plugins');
  return Array.isArray(plugins)
    ? replaced(
        document,
        'plugins',
        plugins.map((plugin: Json, index) =>
          isObject(plugin) ? change(plugin, pathOf(what, `plugins.${index}`)) : plugin,
        ),
      )
    : document;
}

const withDevice = (plugin: JsonObject, deviceId: string): JsonObject =>
  DEVICE_KEYS.reduce((equipped, key) => replaced(equipped, key, deviceId), plugin);

function withArgs(plugin: JsonObject, what: string, cniArgs: JsonObject): JsonObject {
  const args = objectAt(plugin, 'args', what);
  const cni = objectAt(args, 'cni', pathOf(what, 'args'));
  return replaced(plugin, 'args', replaced(args, 'cni', { ...cni, ...cniArgs }));
}

/** With no other spelling of the key left: plugins take the last key that matches without regard to case. */
function replaced(object: JsonObject, key: string, value: Json): JsonObject {
  const others = Object.entries(object).filter(([name]) => name.toLowerCase() !== key.toLowerCase());
  return { ...Object.fromEntries(others), [key]: value };
}
