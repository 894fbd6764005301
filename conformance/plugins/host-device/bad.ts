/** What host-device refuses. */
import { answer, fake } from '../../lab/fakes.ts';
import { PARENT as DEVICE, type Lab, type Pod } from '../../lab/lab.ts';
import { OURS } from '../../lab/programs.ts';
import type { Row } from '../../lab/refuse.ts';
import { drivenBy, fakeSysfs, PCI_ADDRESS, PCI_FOLDER, pciDevice, type Sysfs } from '../../lab/sysfs.ts';

const device = (more: object) => ({
  cniVersion: '1.0.0',
  name: 'net-a',
  type: 'host-device',
  dataDir: '{dir}/store/records',
  device: DEVICE,
  ...more,
});
/** another selector than the device's name */
const by = (more: object) => device({ device: undefined, ...more });
const onNode =
  (...commands: readonly string[]) =>
  async (lab: Lab) => {
    for (const command of commands) {
      await lab.ip(lab.node, command);
    }
  };
const inPod =
  (...commands: readonly string[]) =>
  async (_: Lab, pod: Pod) => {
    for (const command of commands) {
      await _.ip(pod.name, command);
    }
  };
const ipamFake = (script: string) => (lab: Lab) => ({ path: [fake(lab, 'fake-ipam', script), ...OURS.path] });
const FAKE = device({ ipam: { type: 'fake-ipam' } });
const inSysfs = (tree: Sysfs) => (lab: Lab) => ({ sysfs: fakeSysfs(lab, tree) });
const NIC = inSysfs(pciDevice({ ...drivenBy('iavf'), [`${PCI_FOLDER}/net/${DEVICE}`]: '' }));

const WRONG_TYPES: readonly Row[] = [
  ...['device', 'hwaddr', 'kernelpath', 'pciBusID', 'dataDir'].flatMap((key) =>
    [7, true, [], {}].map((value) => [key, value] as const),
  ),
  ...['restore', 'useInterfaceNetwork'].flatMap((key) => ['x', 7, [], {}].map((value) => [key, value] as const)),
  ...['ipam', 'dns', 'runtimeConfig'].flatMap((key) => ['x', 7, true, []].map((value) => [key, value] as const)),
].map(
  ([key, value]): Row => ({
    title: `"${key}" ${JSON.stringify(value)}`,
    conf: device({ [key]: value }),
    code: 7,
    says: [`"${key}"`, JSON.stringify(value)],
  }),
);

/** What would lead out of the folder of devices, or is no name of one. */
const NO_DEVICE_NAMES = [
  '..',
  '.',
  '/',
  '../../devices',
  `../devices/${PCI_ADDRESS}`,
  `${PCI_ADDRESS}/`,
  `${PCI_ADDRESS}/../${PCI_ADDRESS}`,
  `${PCI_ADDRESS}\u0000`,
  `${PCI_ADDRESS}\n`,
  ` ${PCI_ADDRESS}`,
  '*',
];
const TRAVERSALS: readonly Row[] = [
  ...[...NO_DEVICE_NAMES, '65:02.3', '0000:65:02.9', 'eth0'].map(
    (pciBusID): Row => ({
      title: `"pciBusID" ${JSON.stringify(pciBusID)}`,
      conf: by({ pciBusID }),
      prepare: NIC,
      code: 7,
      says: ['"pciBusID"', JSON.stringify(pciBusID)],
    }),
  ),
  ...NO_DEVICE_NAMES.map(
    (deviceID): Row => ({
      title: `"runtimeConfig.deviceID" ${JSON.stringify(deviceID)}`,
      conf: by({ runtimeConfig: { deviceID } }),
      prepare: NIC,
      code: 7,
      says: ['"runtimeConfig.deviceID"', JSON.stringify(deviceID)],
    }),
  ),
  ...[
    '/sys/class/net/par',
    '/sys/devices',
    '/sys/devices/..',
    '/sys/devices/../../etc',
    '/sys/devices/../class/net',
    `sys/${PCI_FOLDER}`,
    `/sys//${PCI_FOLDER}/../../../class`,
    '/etc',
    '..',
  ].map(
    (kernelpath): Row => ({
      title: `"kernelpath" ${JSON.stringify(kernelpath)}`,
      conf: by({ kernelpath }),
      prepare: NIC,
      code: 7,
      says: ['"kernelpath"', JSON.stringify(kernelpath)],
    }),
  ),
];

const SELECTORS: readonly Row[] = [
  { title: 'no selector', conf: by({}), code: 7, says: ['"device"', '"hwaddr"', '"kernelpath"', '"pciBusID"'] },
  { title: 'empty selectors', conf: by({ device: '', hwaddr: '', pciBusID: '' }), code: 7, says: ['"device"'] },
  { title: 'a device that is missing', conf: device({ device: 'absent0' }), code: 999, says: ['"device"', 'absent0'] },
  {
    title: 'a device with a long name that is missing',
    conf: device({ device: 'absent-and-more-than-fifteen' }),
    code: 999,
    says: ['absent-and-more-than-fifteen'],
  },
  { title: 'loopback', conf: device({ device: 'lo' }), code: 7, says: ['"lo"', 'loopback'] },
  {
    title: 'loopback by its address',
    conf: by({ hwaddr: '00:00:00:00:00:00' }),
    code: 7,
    says: ['"hwaddr"', 'loopback'],
  },
  {
    title: 'a device that cannot leave its namespace',
    conf: device({ device: 'br9' }),
    prepare: onNode('link add br9 type bridge'),
    code: 999,
    says: ['"br9"', 'EINVAL'],
  },
  ...['02:00', 'zz:00:00:00:00:01', ' 02:00:00:00:00:01', 'none'].map(
    (hwaddr): Row => ({
      title: `"hwaddr" ${JSON.stringify(hwaddr)}`,
      conf: by({ hwaddr }),
      code: 7,
      says: ['"hwaddr"', JSON.stringify(hwaddr)],
    }),
  ),
  {
    title: 'a hardware address that nothing has',
    conf: by({ hwaddr: '02:00:00:00:00:77' }),
    code: 999,
    says: ['"hwaddr"', '02:00:00:00:00:77'],
  },
  {
    title: 'a PCI address that nothing has',
    conf: by({ pciBusID: '0000:ff:1f.7' }),
    prepare: NIC,
    code: 999,
    says: ['"pciBusID"', '0000:ff:1f.7'],
  },
  {
    title: 'a device of the runtime that is on no bus',
    conf: device({ runtimeConfig: { deviceID: 'mlx5_core.sf.9' } }),
    prepare: NIC,
    code: 999,
    says: ['"runtimeConfig.deviceID"', 'mlx5_core.sf.9'],
  },
  {
    title: 'a PCI function without driver',
    conf: by({ pciBusID: PCI_ADDRESS }),
    prepare: inSysfs(pciDevice({ [`${PCI_FOLDER}/net/${DEVICE}`]: '' })),
    code: 999,
    says: [PCI_ADDRESS, 'no driver'],
  },
  {
    title: 'a PCI function without link',
    conf: by({ pciBusID: PCI_ADDRESS }),
    prepare: inSysfs(pciDevice(drivenBy('iavf'))),
    code: 999,
    says: [PCI_ADDRESS],
  },
  {
    title: 'a folder of the kernel without link',
    conf: by({ kernelpath: '/sys/devices/absent' }),
    prepare: NIC,
    code: 999,
    says: ['"kernelpath"', '/sys/devices/absent'],
  },
];

const CALLS: readonly Row[] = [
  { title: 'broken JSON', conf: '{"name": "a",', code: 6 },
  { title: 'a version that nobody knows', conf: device({ cniVersion: '9.9.9' }), code: 1 },
  {
    title: 'no IPAM in a version whose results need an address',
    conf: device({ cniVersion: '0.2.0' }),
    code: 999,
    says: ['no valid IP address'],
  },
  {
    title: 'a namespace that is missing',
    conf: device({}),
    call: { netns: '/run/netns/absent-of-braid' },
    code: 999,
    says: ['/run/netns/absent-of-braid', 'no such file or directory'],
  },
  ...['/etc/hostname', '/etc', '/proc/self/ns/mnt', '/proc/self/ns/net'].map(
    (netns): Row => ({ title: `the namespace ${netns}`, conf: device({}), call: { netns }, code: 8, says: [netns] }),
  ),
  {
    title: 'a name that is taken',
    conf: device({}),
    prepare: inPod('link add net1 type veth peer name net1-peer'),
    code: 999,
    says: ['"net1"', 'already exists'],
  },
  {
    title: 'a name that is taken as an alternative name',
    conf: device({}),
    prepare: inPod('link add other type bridge', 'link property add dev other altname net1'),
    code: 999,
    says: ['"net1"', 'already exists'],
  },
  { title: 'the name lo', conf: device({}), call: { ifName: 'lo' }, code: 999, says: ['"lo"'] },
  {
    title: 'a name in which the kernel sees a pattern',
    conf: device({}),
    call: { ifName: 'net%d' },
    code: 4,
    says: ['net%d'],
  },
  {
    title: 'a folder for records that cannot be made',
    conf: device({ dataDir: '/proc/absent/records' }),
    code: 5,
    says: ['/proc/absent'],
  },
  {
    title: 'a folder for records that is read-only',
    conf: device({ dataDir: '{dir}/cni' }),
    prepare: async (lab) => lab.makeReadOnly(`${lab.dir}/cni`),
    code: 5,
    says: ['read-only'],
  },
];

const IPAM: readonly Row[] = [
  {
    title: 'an IPAM plugin that is missing',
    conf: device({ ipam: { type: 'absent-ipam' } }),
    code: 999,
    says: ['"absent-ipam"'],
  },
  {
    title: 'an IPAM plugin that asks for patience',
    conf: FAKE,
    prepare: ipamFake(`echo '{"code":11,"msg":"later"}'; exit 1`),
    code: 11,
    says: ['later'],
  },
  {
    title: 'an IPAM plugin that prints garbage',
    conf: FAKE,
    prepare: ipamFake('echo "hello <world>"'),
    code: 999,
    says: ['hello <world>'],
  },
  {
    title: 'an IPAM plugin that dies by a signal',
    conf: FAKE,
    prepare: ipamFake('kill -9 $$'),
    code: 999,
    says: [/signal|killed|SIGKILL/i],
  },
  ...[
    { ips: [] },
    { ips: [{ address: '10.1.2.300/24' }] },
    { ips: [{ address: '10.1.2.3/24' }, { address: '10.1.2.3/24' }] },
    { ips: [{ address: '10.1.2.3/24' }], routes: [{ dst: '10.8.0.0/16', gw: '192.0.2.1' }] },
    { ips: [{ address: '10.1.2.3/24' }], routes: [{ dst: '10.8.0.0/16' }, { dst: '10.8.0.0/16' }] },
  ].map(
    (result): Row => ({
      title: `an IPAM plugin that answers ${JSON.stringify(result)}`,
      conf: FAKE,
      prepare: ipamFake(answer({ cniVersion: '1.0.0', ...result })),
      code: 999,
    }),
  ),
];

export const BAD: readonly Row[] = [...WRONG_TYPES, ...TRAVERSALS, ...SELECTORS, ...CALLS, ...IPAM];
