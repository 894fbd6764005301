import { CniError, withPrefix } from '../../../lib/cni/errors.ts';
import { isObject, type Json, type JsonObject, lookUp } from '../../../lib/cni/json.ts';
import { planDelegate } from '../delegates.ts';
import type { Network } from '../network.ts';
import type { Definition } from './definitions.ts';
import type { NetworkSelection } from './selection.ts';

/** The network of a definition, as a pod asks for it. */
export function definedNetwork(
  definition: Definition,
  { requests, cniArgs }: Pick<NetworkSelection, 'requests' | 'cniArgs'> = { requests: {}, cniArgs: undefined },
): Network {
  const { name, resourceName, document, bytes } = definition;
  return {
    resourceName,
    plan: (deviceId) => {
      try {
        const isChanged = deviceId !== undefined || cniArgs !== undefined;
        const delegate = isChanged
          ? planDelegate(withCniArgs(withDevice(document, deviceId), cniArgs), '')
          : planDelegate(document, '', bytes);
        const id = deviceId ?? requests.deviceId;
        return {
          ...delegate,
          name,
          requests: {
            ...requests,
            ...(id === undefined ? {} : { deviceId: id }),
            ...(resourceName === '' ? {} : { resourceName }),
          },
        };
      } catch (error) {
        throw withPrefix(`network-attachment-definition "${name}"`, error);
      }
    },
  };
}

function withDevice(document: JsonObject, deviceId: string | undefined): JsonObject {
  return deviceId === undefined
    ? document
    : eachPlugin(document, (one) => ({ ...one, deviceID: deviceId, pciBusID: deviceId }));
}

function withCniArgs(document: JsonObject, cniArgs: JsonObject | undefined): JsonObject {
  if (cniArgs === undefined) return document;
  return eachPlugin(document, (one) => {
    const args = lookUp(one, 'args') ?? {};
    if (!isObject(args)) throw new CniError('invalidNetworkConfig', 'cannot use "args": it is not an object');
    const cni = lookUp(args, 'cni') ?? {};
    if (!isObject(cni)) throw new CniError('invalidNetworkConfig', 'cannot use "args.cni": it is not an object');
    return { ...one, args: { ...args, cni: { ...cni, ...cniArgs } } };
  });
}

function eachPlugin(document: JsonObject, change: (one: JsonObject) => JsonObject): JsonObject {
  const plugins = lookUp(document, 'plugins');
  return (lookUp(document, 'type') ?? '') !== '' || !Array.isArray(plugins)
    ? change(document)
    : { ...document, plugins: plugins.map((one: Json) => (isObject(one) ? change(one) : one)) };
}
