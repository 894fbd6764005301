/** Device information goes from the device plugin to the plugins of a network, and from there to the pod's status. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf } from '../../../lib/cni/errors.ts';
import { type JsonObject, parseJson } from '../../../lib/cni/json.ts';
import { makeFolder, writeAtomically } from '../../../lib/sys/atomic-file.ts';
import { isMissing } from '../../../lib/sys/io-error.ts';
import { deviceInfoFileOf, removeDeviceInfoFile } from '../device-info.ts';
import type { Log } from '../log.ts';
import { deviceInfoIn } from './info-form.ts';

/** Of device plugins. */
const FOLDER = '/var/run/k8s.cni.cncf.io/devinfo/dp';
/** Real ones have some hundred bytes, and the status of a pod has 256 KiB for everything. */
const LONGEST = 16 * 1024;

/** A device as the kubelet names it. */
export interface NamedDevice {
  readonly resource: string;
  readonly id: string;
}

const sourceOf = ({ resource, id }: NamedDevice): string =>
  `${FOLDER}/${`${resource}-${id}-device.json`.replaceAll('/', '-')}`;

/**
 * Copies what the device plugin says of a device into the attachment's own file, for the plugins of its network. Never
 * fails: it is a service for those who want it. What an earlier attachment has left there goes in any case.
 *
 * @param args of the attachment: `CNIDeviceInfoFile` is where
 */
export function placeDeviceInfo(args: JsonObject, device: NamedDevice, log: Pick<Log, 'debug'>, root = '/'): void {
  const path = deviceInfoFileOf(args);
  if (path === undefined) {
    return;
  }
  const source = sourceOf(device);
  try {
    removeDeviceInfoFile(args, root);
    const content = contentOf(join(root, source));
    const target = join(root, path);
    makeFolder(dirname(target), { mode: 0o755, sync: false });
    writeAtomically(target, content, { mode: 0o444, sync: false });
  } catch (error) {
    log.debug(() => `cannot copy device information "${source}" to "${path}": ${messageOf(error)}`);
  }
}

/**
 * What is known of the attachment's device, after its plugins have had the file.
 *
 * @returns undefined where there is nothing, or nothing that can be read
 */
export function readDeviceInfo(args: JsonObject, log: Pick<Log, 'warn'>, root = '/'): JsonObject | undefined {
  const path = deviceInfoFileOf(args);
  if (path === undefined) {
    return undefined;
  }
  try {
    return deviceInfoIn(parseJson(contentOf(join(root, path)).toString('utf8')));
  } catch (error) {
    if (!isMissing(error)) {
      log.warn(`cannot use device information "${path}": ${messageOf(error)}`);
    }
    return undefined;
  }
}

/** A file that is a pipe, or grows, keeps nobody waiting. */
function contentOf(path: string): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) {
      throw new Error('it is not a file');
    }
    const bytes = Buffer.alloc(LONGEST + 1);
    const length = readSync(fd, bytes, 0, bytes.length, 0);
    if (length > LONGEST) {
      throw new Error(`it is longer than ${LONGEST} bytes`);
    }
    return bytes.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}
