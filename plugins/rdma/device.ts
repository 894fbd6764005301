import { CniError } from '../../lib/cni/errors.ts';
import type { Interface, Result } from '../../lib/cni/result.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { findDevice } from '../../lib/link/device.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { type BusDevice, findBusDevice } from '../../lib/sys/bus-device.ts';
import { vfsWithMac } from './vf-mac.ts';

/**
 * The bus device: the wanted one, else that of the attachment's only interface.
 *
 * @param wanted '' when none was named
 * @throws CniError invalidNetworkConfig
 */
export async function busDeviceOf(wanted: string, previous: Result, netns: Netns, scope: Scope): Promise<BusDevice> {
  if (wanted !== '') {
    return findById(wanted, scope);
  }
  const [only, ...others] = previous.interfaces;
  if (only === undefined || others.length > 0) {
    throw deviceUnknown(`prevResult has ${previous.interfaces.length} interfaces, not one`);
  }
  return (await findByLink(only, netns, scope)) ?? (await findByMac(only, scope));
}

function findById(wanted: string, scope: Scope): BusDevice {
  const device = findBusDevice(wanted, 'deviceID', scope.node.sysfs);
  if (device === undefined) {
    throw new CniError(
      'invalidNetworkConfig',
      `cannot find "deviceID" "${wanted}": there is no such device on the PCI bus or the auxiliary bus of this node`,
    );
  }
  return device;
}

/** The kernel reports the parent device of a link in any namespace (since Linux 5.14). */
async function findByLink({ name, sandbox }: Interface, netns: Netns, scope: Scope): Promise<BusDevice | undefined> {
  const parent = sandbox === netns.path ? (await findDevice(netns.netlink, name))?.parentDev : undefined;
  return parent === undefined || parent === '' ? undefined : findBusDevice(parent, 'prevResult', scope.node.sysfs);
}

async function findByMac({ name, mac = '' }: Interface, scope: Scope): Promise<BusDevice> {
  const [vf, ...others] = mac === '' ? [] : await vfsWithMac(mac, scope.node.host.netlink, scope.node.sysfs);
  if (vf === undefined) {
    throw deviceUnknown(`interface "${name}" of prevResult has no parent device, and no VF has its mac "${mac}"`);
  }
  if (others.length > 0) {
    throw deviceUnknown(`${others.length + 1} VFs have the mac "${mac}" of interface "${name}"`);
  }
  return vf;
}

const deviceUnknown = (why: string): CniError =>
  new CniError(
    'invalidNetworkConfig',
    `cannot find the device of the attachment: "deviceID" is missing: multus passes it when the network has the annotation ` +
      `k8s.v1.cni.cncf.io/resourceName and the pod requests that resource; otherwise set it in the configuration: ${why}`,
  );
