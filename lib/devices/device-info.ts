import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, removeWritten, writeAtomically } from '../sys/atomic-file.ts';
import type { DeviceFacts } from './facts.ts';
import type { ResourceName } from './names.ts';
import type { Chosen } from './sriov/select.ts';

/** Where multus looks for what device plugins know: device-info specification 1.1.0. */
const FOLDER = '/var/run/k8s.cni.cncf.io/devinfo/dp';
const VERSION = '1.1.0';

export const infoPathOf = (root: string, { prefix, name }: ResourceName, id: string): string =>
  join(root, FOLDER, `${`${prefix}-${name}-${id}`.replaceAll('/', '-')}-device.json`);

interface Telling {
  /** what is known of a device in a container may be less than it was */
  readonly onlyIfMissing?: boolean;
}

/**
 * Tells multus what a device is.
 *
 * @param root in front of the path
 * @throws CniError ioFailure
 */
export const writeDeviceInfo = (root: string, resource: ResourceName, chosen: Chosen, telling: Telling = {}): void =>
  writeInfo(root, infoPathOf(root, resource, chosen.facts.id), infoOf(chosen), telling);

/** Tells it of a place of an RDMA device that containers share: what is above their interfaces. */
export const writePlaceInfo = (
  root: string,
  { resource, place, facts }: { readonly resource: ResourceName; readonly place: string; readonly facts: DeviceFacts },
  telling: Telling = {},
): void => writeInfo(root, infoPathOf(root, resource, place), pciInfo(facts, true), telling);

function writeInfo(root: string, path: string, info: object, { onlyIfMissing = false }: Telling): void {
  const content = JSON.stringify(info);
  if (onlyIfMissing ? !existsSync(path) : !isThere(path, content)) {
    makeFolder(join(root, FOLDER), { mode: 0o755, sync: false });
    writeAtomically(path, content, { mode: 0o444, sync: false }); // in memory
  }
}

/** Idempotent. */
export const removeDeviceInfo = (root: string, resource: ResourceName, id: string): void =>
  removeWritten(infoPathOf(root, resource, id));

function infoOf({ facts, selector }: Chosen): object {
  const { id, vdpa } = facts;
  if (selector.vdpaType !== '' && vdpa !== undefined) {
    const path = vdpa.node === '' ? {} : { path: `/dev/${vdpa.node}` };
    const own = { 'parent-device': vdpa.name, driver: vdpa.type, ...path, 'pci-address': id };
    return { type: 'vdpa', version: VERSION, vdpa: own };
  }
  return pciInfo(facts, selector.isRdma);
}

function pciInfo({ id, rdmaDevices }: DeviceFacts, isRdma: boolean): object {
  const rdma = isRdma && rdmaDevices.length > 0 ? { 'rdma-device': rdmaDevices.join(',') } : {};
  return { type: 'pci', version: VERSION, pci: { 'pci-address': id, ...rdma } };
}

function isThere(path: string, content: string): boolean {
  try {
    return readFileSync(path, 'utf8') === content;
  } catch {
    return false;
  }
}
