import { fullName, variableNames } from '../names.ts';
import { UnknownDevice } from '../resource.ts';
import { type DeviceFile, type DeviceParts, type Machine, partsOf } from './container-parts.ts';
import type { Pool } from './select.ts';

/** What one container gets. */
export interface Allocation {
  readonly envs: Readonly<Record<string, string>>;
  /** of all, each once */
  readonly files: readonly DeviceFile[];
  readonly perDevice: readonly { readonly id: string; readonly files: readonly DeviceFile[] }[];
}

/**
 * What a container gets with some devices of a resource, in the order in which the kubelet names them.
 *
 * @throws UnknownDevice
 */
export function allocate(machine: Machine, { resource, devices }: Pool, ids: readonly string[]): Allocation {
  const parts = ids.map((id): readonly [string, DeviceParts] => {
    const chosen = devices.get(id);
    if (chosen === undefined) {
      throw new UnknownDevice(`resource "${fullName(resource)}" has no device "${id}"`);
    }
    return [id, partsOf(machine, resource, chosen)];
  });
  const info = goJson(Object.fromEntries(parts.map(([id, { info: own }]) => [id, own])));
  const envs = variableNames(resource).flatMap((name) => [
    [name, ids.join(',')],
    [`${name}_INFO`, info],
  ]);
  const perDevice = parts.map(([id, { files }]) => ({ id, files }));
  return { envs: Object.fromEntries(envs), files: distinct(perDevice.flatMap(({ files }) => files)), perDevice };
}

/** The same path once: several devices share the file of vfio. */
export const distinct = (files: readonly DeviceFile[]): readonly DeviceFile[] => [
  ...new Map(files.map((file) => [file.hostPath, file])).values(),
];

type Tree = string | { readonly [key: string]: Tree };

/** JSON as Go writes maps: keys sorted, and characters that matter to HTML and JavaScript escaped. */
export const goJson = (value: Tree): string =>
  written(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** By hand: an object of JavaScript would have keys that are numbers first. */
const written = (value: Tree): string =>
  typeof value === 'string'
    ? JSON.stringify(value)
    : `{${Object.keys(value)
        .sort()
        .map((key) => `${JSON.stringify(key)}:${written(value[key] ?? '')}`)
        .join()}}`;
