import { join } from 'node:path';
import type { JsonObject } from '../../lib/cni/json.ts';
import { removeWritten } from '../../lib/sys/atomic-file.ts';

/** Where plugins leave what they know of a device: device-info specification 1.1.0, "CNIDeviceInfoFile". */
const FOLDER = '/var/run/k8s.cni.cncf.io/devinfo/cni';
const KEY = 'CNIDeviceInfoFile';

/** The arguments with the attachment's own file, when there is a device; whatever the runtime named is replaced. */
export function withDeviceInfoFile(
  args: JsonObject,
  { name, containerId, ifName }: { readonly name: string; readonly containerId: string; readonly ifName: string },
): JsonObject {
  const file = `${name}-${containerId}_${ifName}`.replaceAll('/', '-');
  if (args['deviceID'] === undefined) {
    return args;
  }
  const { [KEY]: _given, ...others } = args;
  return { [KEY]: `${FOLDER}/${file}`, ...others }; // in the order in which records have it
}

/**
 * The attachment's file.
 *
 * @returns undefined where there is none, or one that we have not named
 */
export function deviceInfoFileOf(args: JsonObject): string | undefined {
  const path = args[KEY];
  const isOurs =
    typeof path === 'string' && path.startsWith(`${FOLDER}/`) && !path.slice(FOLDER.length + 1).includes('/');
  return isOurs ? path : undefined;
}

/** Removes the file, if it is one that we named: best effort, since nothing depends on it any more. */
export function removeDeviceInfoFile(args: JsonObject, root = '/'): void {
  const path = deviceInfoFileOf(args);
  if (path === undefined) {
    return;
  }
  try {
    removeWritten(join(root, path));
  } catch {
    // the next reboot does it: the folder is in memory
  }
}
