import { CniError } from '../../lib/cni/errors.ts';
import {
  attributeOf,
  type BusDevice,
  driverOf,
  findPciDevice,
  isUserspace,
  netNamesOf,
  physicalFunctionOf,
  vfNumberOf,
} from '../../lib/sys/bus-device.ts';

/** ARPHRD_INFINIBAND */
const INFINIBAND = '32';

/** A VF as sysfs shows it; undefined is not visible from here. */
export interface VisibleVf {
  readonly device: BusDevice;
  readonly pf: BusDevice | undefined;
  readonly pfName: string | undefined;
  readonly number: number | undefined;
}

/** A VF and its PF. */
export interface FoundVf {
  readonly device: BusDevice;
  readonly pf: BusDevice;
  readonly pfName: string;
  /** its number in the PF */
  readonly number: number;
}

/** @returns undefined when there is no such device */
export function inspectVf(deviceId: string, sysfs: string): VisibleVf | undefined {
  const device = findPciDevice(deviceId, 'deviceID', sysfs);
  if (device === undefined) {
    return undefined;
  }
  const pf = physicalFunctionOf(device);
  return {
    device,
    pf,
    pfName: pf === undefined ? undefined : interfaceOf(pf, device),
    number: pf === undefined ? undefined : vfNumberOf(device, pf),
  };
}

/** @throws CniError internal saying what to do */
export function findVf(deviceId: string, sysfs: string): FoundVf {
  const seen = inspectVf(deviceId, sysfs);
  if (seen === undefined) {
    throw cannotUse(deviceId, 'no such PCI device; have the VFs been created (sriov_numvfs)?');
  }
  const { device, pf, pfName, number } = seen;
  if (pf === undefined) {
    throw cannotUse(deviceId, 'it is not a VF; in a virtual machine, or for a whole NIC, use host-device');
  }
  if (pfName === undefined) {
    const driver = driverOf(pf) ?? 'no driver';
    throw cannotUse(
      deviceId,
      `its PF "${pf.name}" (${driver}) has no interface on this node; is it in another network namespace?`,
    );
  }
  if (attributeOf(pf, `net/${pfName}/type`) === INFINIBAND) {
    throw cannotUse(deviceId, `its PF "${pfName}" is InfiniBand: use the plugin ib-sriov`);
  }
  if (number === undefined) {
    throw cannotUse(deviceId, `its PF "${pfName}" no longer has it; recreate the VFs`);
  }
  return { device, pf, pfName, number };
}

/** In switchdev mode a PF's folder also lists VF representors; the PF's own ports are named `p<n>` or not at all. */
function interfaceOf(pf: BusDevice, vf: BusDevice): string | undefined {
  const names = netNamesOf(pf).filter((name) => /^(p\d.*)?$/.test(attributeOf(pf, `net/${name}/phys_port_name`) ?? ''));
  const [own] = netNamesOf(vf);
  if (names.length < 2 || own === undefined) {
    return names[0];
  }
  const port = attributeOf(vf, `net/${own}/dev_port`); // two ports on one PCI function
  return names.find((name) => attributeOf(pf, `net/${name}/dev_port`) === port) ?? names[0];
}

/**
 * Name of a VF's interface; undefined when its driver is a userspace driver.
 *
 * @throws CniError internal when it is elsewhere
 */
export function interfaceNameOf(device: BusDevice): string | undefined {
  const [name] = netNamesOf(device);
  if (name !== undefined || isUserspace(device)) {
    return name;
  }
  const driver = driverOf(device);
  throw cannotUse(
    device.name,
    driver === undefined
      ? 'no driver is bound to it; has a workload unbound it?'
      : `driver "${driver}" is bound to it, but it has no interface on this node; is it still in the namespace of another pod?`,
  );
}

const cannotUse = (deviceId: string, why: string): CniError =>
  new CniError('internal', `cannot use device "${deviceId}": ${why}`);
