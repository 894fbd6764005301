import { isObject, type JsonObject, lookUp } from '../../../lib/cni/json.ts';

/**
 * What is known of a device: device-info specification 1.1.0. Keys are in the order in which the Go plugin prints them in
 * the status of a pod.
 */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  pci: ['pci-address', 'vhost-net', 'rdma-device', 'pf-pci-address', 'representor-device'],
  vdpa: ['parent-device', 'driver', 'path', 'pci-address', 'pf-pci-address', 'representor-device'],
  'vhost-user': ['mode', 'path'],
  memif: ['role', 'path', 'mode'],
};

/**
 * A document as device information: what the specification knows, without what is empty.
 *
 * @throws SyntaxError naming the key that is not what it must be
 */
export function deviceInfoIn(document: unknown): JsonObject {
  if (!isObject(document)) {
    throw new SyntaxError('it is not an object');
  }
  const texts = textsIn(document, ['type', 'version'], '');
  const parts = Object.entries(PARTS).flatMap(([name, keys]) => {
    const part = lookUp(document, name) ?? undefined;
    if (part === undefined) {
      return [];
    }
    if (!isObject(part)) {
      throw new SyntaxError(`"${name}" is not an object`);
    }
    return [[name, textsIn(part, keys, `${name}.`)] as const];
  });
  return { ...texts, ...Object.fromEntries(parts) };
}

function textsIn(document: JsonObject, keys: readonly string[], path: string): JsonObject {
  const found = keys.flatMap((key) => {
    const value = lookUp(document, key) ?? '';
    if (typeof value !== 'string') {
      throw new SyntaxError(`"${path}${key}" is not a string`);
    }
    return value === '' ? [] : [[key, value] as const];
  });
  return Object.fromEntries(found);
}
