import { CniError } from '../../lib/cni/errors.ts';
import type { Interface, Result } from '../../lib/cni/result.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { findDevice } from '../../lib/link/device.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { type BusDevice, findBusDevice } from '../../lib/sys/bus-device.ts';
import { vfsWithMac } from './vf-mac.ts';

/**
 * The device on its bus: the one that was asked for, else that of the only interface of the attachment.
 *
 * @param wanted '' when nobody said which
 * @throws CniError invalidNetworkConfig
 */
export async function busDeviceOf(wanted: string, previous: Result, netns: Netns, scope: Scope): Promise<BusDevice> {
  if (wanted !== '') {
    return named(wanted, scope);
  }
  const [only, ...others] = previous.interfaces;
  if (only === undefined || others.length > 0) {
    throw unnamed(`prevResult has ${previous.interfaces.length} interfaces, and with one it could be found`);
  }
  return (await ofLink(only, netns, scope)) ?? (await ofMac(only, scope));
}

function named(wanted: string, scope: Scope): BusDevice {
  const device = findBusDevice(wanted, 'deviceID', scope.node.sysfs);
  if (device === undefined) {
    throw new CniError(
      'invalidNetworkConfig',
      `cannot find "deviceID" "${wanted}": there is no such device on the PCI bus or the auxiliary bus of this node`,
    );
  }
  return device;
}

/** The kernel says of a link in any namespace which device it belongs to (since Linux 5.14). */
async function ofLink({ name, sandbox }: Interface, netns: Netns, scope: Scope): Promise<BusDevice | undefined> {
  const parent = sandbox === netns.path ? (await findDevice(netns.netlink, name))?.parentDev : undefined;
  return parent === undefined || parent === '' ? undefined : findBusDevice(parent, 'prevResult', scope.node.sysfs);
}

async function ofMac({ name, mac = '' }: Interface, scope: Scope): Promise<BusDevice> {
  const [vf, ...others] = mac === '' ? [] : await vfsWithMac(mac, scope.node.host.netlink, scope.node.sysfs);
  if (vf === undefined) {
    throw unnamed(`interface "${name}" of prevResult does not belong to a device, and no VF has its mac "${mac}"`);
  }
  if (others.length > 0) {
    throw unnamed(`${others.length + 1} VFs have the mac "${mac}" of interface "${name}"`);
  }
  return vf;
}

const unnamed = (why: string): CniError =>
  new CniError(
    'invalidNetworkConfig',
    `cannot tell which device the pod has: "deviceID" is missing: multus passes it when the network has the annotation ` +
      `k8s.v1.cni.cncf.io/resourceName and the pod asks for that resource; others must write it down: ${why}`,
  );
