import {
  type Conf,
  delegateTimeout,
  dns,
  flag,
  ipamSection,
  networkConf,
  section,
  text,
} from '../../lib/cni/config.ts';

export const HostDeviceConf = networkConf({
  device: text('The device by its name or an alternative name.'),
  hwaddr: text('The device by its hardware address.'),
  kernelpath: text('The device by its folder in sysfs: `/sys/devices/…`.'),
  pciBusID: text('The device by its PCI address: `0000:65:02.3`.'),
  restore: flag(
    'At DEL the device gets back what it had: addresses, routes, MTU, hardware address, alternative names, settings, up or down. Otherwise it comes back under its name and down.',
    true,
  ),
  useInterfaceNetwork: flag(
    "Give the pod the device's own addresses, routes and rules, besides those of the IPAM plugin. Not for a device whose driver hands it to a program.",
  ),
  dataDir: text('Folder of the records of what devices were. Default: `/var/lib/cni/host-device`.'),
  ipam: ipamSection(),
  delegateTimeout: delegateTimeout(),
  dns: dns('Copied to the result.'),
  runtimeConfig: section(
    {
      deviceID: text(
        'The device by its name on the PCI or the auxiliary bus (capability `deviceID`): stronger than `pciBusID`.',
      ),
    },
    'Filled in by the runtime.',
  ),
});
export type HostDeviceConf = Conf<typeof HostDeviceConf>;
