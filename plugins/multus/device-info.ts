import { rmSync } from 'node:fs';
import type { JsonObject } from '../../lib/cni/json.ts';

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

/** Removes the file, if it is one that we named: best effort, since nothing depends on it any more. */
export function removeDeviceInfoFile(args: JsonObject): void {
  const path = args[KEY];
  if (typeof path !== 'string' || !path.startsWith(`${FOLDER}/`) || path.slice(FOLDER.length + 1).includes('/')) {
    return;
  }
  try {
    rmSync(path, { force: true });
  } catch {
    // the next reboot does it: the folder is in memory
  }
}
