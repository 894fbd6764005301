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
  device: text('Name or alternative name of the device.'),
  hwaddr: text('Hardware address of the device.'),
  kernelpath: text('Folder of the device in sysfs: `/sys/devices/…`.'),
  pciBusID: text('PCI address of the device: `0000:65:02.3`.'),
  restore: flag(
    'DEL restores addresses, routes, MTU, hardware address, alternative names, settings, up or down. Otherwise only the name; the device is down.',
    true,
  ),
  useInterfaceNetwork: flag(
    "Give the pod the device's own addresses, routes and rules, in addition to those of the IPAM plugin. Not for a device with a userspace driver.",
  ),
  dataDir: text('Folder for device records. Default: `/var/lib/cni/host-device`.'),
  ipam: ipamSection(),
  delegateTimeout: delegateTimeout(),
  dns: dns('Copied to the result.'),
  runtimeConfig: section(
    {
      deviceID: text('Name of the device on the PCI or auxiliary bus (capability `deviceID`); beats `pciBusID`.'),
    },
    'Filled in by the runtime.',
  ),
});
export type HostDeviceConf = Conf<typeof HostDeviceConf>;
