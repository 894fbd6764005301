/** Configurations of host-device that our plugin and Go's are compared with. */

import { PARENT as DEVICE, PARENT_MAC } from '../../lab/lab.ts';
import { VERSIONS } from '../../lab/programs.ts';
import { drivenBy, PCI_ADDRESS, PCI_FOLDER, pciDevice, type Sysfs } from '../../lab/sysfs.ts';
import type { Case } from '../../peers/compare.ts';
import { addresses, type Document, distinct, hostLocal, ipam, making, show } from '../../peers/making-cases.ts';

const SF = 'mlx5_core.sf.4';

const base = (version: string): Document => ({
  cniVersion: version,
  name: 'net-a',
  type: 'host-device',
  dataDir: '{store}/records',
  device: DEVICE,
  ipam: {
    type: 'static',
    addresses: [{ address: '10.1.2.3/24', gateway: '10.1.2.1' }],
    routes: [{ dst: '0.0.0.0/0' }],
  },
});

const { one, across, values, raw } = making('host-device', base);

const spec: readonly Case[] = [
  ...across(
    VERSIONS,
    'static address',
    { dns: { nameservers: ['10.0.0.1'], domain: 'a.example', search: ['b.example'] } },
    { dels: 2 },
  ),
  ...across(
    VERSIONS,
    'both families',
    ipam(addresses(['10.1.2.3/24', '10.1.2.1'], ['fd00:1::3/64', 'fd00:1::1']), {
      routes: [{ dst: '::/0' }, { dst: '0.0.0.0/0' }],
    }),
  ),
  ...across(VERSIONS, 'no ipam', { ipam: undefined }),
  ...across(
    ['0.2.0', '0.3.0', '0.4.0', '1.1.0'],
    'host-local address',
    hostLocal({ ranges: [[{ subnet: '10.7.0.0/24' }]], routes: [{ dst: '0.0.0.0/0' }] }),
  ),
  ...across(['0.3.1', '1.1.0'], 'dns without ipam', { ipam: undefined, dns: { domain: 'a.example' } }),
  ...across(['', '0.5.0', '1', '1.2.0', 'abc'], 'cniVersion', {}),
  one('cniVersion absent', { cniVersion: undefined }, { version: '' }),
];

const other = ['node: link add oth type veth peer name oth-peer'];
const selectors: readonly Case[] = [
  ...values('device', [
    undefined,
    null,
    'absent0',
    'par-peer',
    'lo',
    DEVICE.toUpperCase(),
    'a-name-of-more-than-fifteen-bytes',
    7,
    {},
  ]),
  one('a bridge', { device: 'br9' }, { prepare: ['node: link add br9 type bridge'] }),
  one('a macvlan', { device: 'mv9' }, { prepare: [`node: link add mv9 link ${DEVICE} type macvlan mode bridge`] }),
  one('a port of a bridge', {}, { prepare: ['node: link add br9 type bridge', `node: link set ${DEVICE} master br9`] }),
  one('a device that is down', {}, { prepare: [`node: link set ${DEVICE} down`] }),
  one('a device of a small MTU', {}, { prepare: [`node: link set ${DEVICE} mtu 1300`] }),
  one('a device with addresses', {}, { prepare: [`node: addr add 10.60.0.2/24 dev ${DEVICE}`] }),
  one(
    'a device by an alternative name',
    { device: 'the-uplink-of-this-node' },
    { prepare: [`node: link property add dev ${DEVICE} altname the-uplink-of-this-node`] },
  ),
  ...[PARENT_MAC, PARENT_MAC.toUpperCase(), PARENT_MAC.replaceAll(':', '-'), '0200.0000.0001'].map((hwaddr) =>
    one(`hwaddr ${hwaddr}`, { device: undefined, hwaddr }),
  ),
  ...[null, '', '02:00:00:00:00:77', '00:00:00:00:00:00', 'zz:00:00:00:00:01', ` ${PARENT_MAC}`, 7].map((hwaddr) =>
    one(`hwaddr ${show(hwaddr)}`, { device: undefined, hwaddr }),
  ),
  one('device over hwaddr', { hwaddr: '02:00:00:00:00:02' }),
  one('device that is missing over hwaddr', { device: 'absent0', hwaddr: PARENT_MAC }),
  one('hwaddr over kernelpath', { device: undefined, hwaddr: PARENT_MAC, kernelpath: '/sys/devices/absent' }),
  one('an empty device and hwaddr', { device: '', hwaddr: PARENT_MAC }),
  one('a device of the pod', { device: 'inner' }, { prepare: ['pod: link add inner type veth peer name inner-peer'] }),
  one('keys in other letters', { device: undefined, DEVICE, Ipam: base('')['ipam'], ipam: undefined }),
  one('the last of doubled keys', { Device: 'absent0' }, { prepare: other }),
];

const NIC: Sysfs = pciDevice({ ...drivenBy('iavf'), [`${PCI_FOLDER}/net/${DEVICE}`]: '' });
const AUXILIARY: Sysfs = {
  [`${PCI_FOLDER}/${SF}/net/${DEVICE}`]: '',
  [`bus/auxiliary/devices/${SF}`]: `../../../${PCI_FOLDER}/${SF}`,
};
const inSysfs = (title: string, sysfs: Sysfs, conf: Document): Case =>
  one(title, { device: undefined, ...conf }, { sysfs });

const sysfs: readonly Case[] = [
  inSysfs('pciBusID', NIC, { pciBusID: PCI_ADDRESS }),
  inSysfs('pciBusID, several links', { ...NIC, [`${PCI_FOLDER}/net/zz9`]: '' }, { pciBusID: PCI_ADDRESS }),
  inSysfs('pciBusID, first link elsewhere', { ...NIC, [`${PCI_FOLDER}/net/aa9`]: '' }, { pciBusID: PCI_ADDRESS }),
  inSysfs('pciBusID, no link', pciDevice(drivenBy('iavf')), { pciBusID: PCI_ADDRESS }),
  inSysfs('pciBusID, empty folder of links', pciDevice({ ...drivenBy('iavf'), [`${PCI_FOLDER}/net`]: '' }), {
    pciBusID: PCI_ADDRESS,
  }),
  inSysfs('pciBusID, no driver', pciDevice({ [`${PCI_FOLDER}/net/${DEVICE}`]: '' }), { pciBusID: PCI_ADDRESS }),
  inSysfs('pciBusID, no such device', { devices: '' }, { pciBusID: PCI_ADDRESS }),
  inSysfs('pciBusID of virtio', pciDevice({ ...drivenBy('virtio-pci'), [`${PCI_FOLDER}/virtio2/net/${DEVICE}`]: '' }), {
    pciBusID: PCI_ADDRESS,
  }),
  ...['vfio-pci', 'uio_pci_generic', 'igb_uio'].flatMap((driver) => [
    inSysfs(`driver ${driver}`, pciDevice(drivenBy(driver)), { pciBusID: PCI_ADDRESS }),
    inSysfs(`driver ${driver}, no ipam`, pciDevice(drivenBy(driver)), {
      pciBusID: PCI_ADDRESS,
      ipam: undefined,
      cniVersion: '1.0.0',
    }),
  ]),
  inSysfs('deviceID', NIC, { runtimeConfig: { deviceID: PCI_ADDRESS } }),
  inSysfs('deviceID over pciBusID', NIC, { pciBusID: '0000:ff:1f.7', runtimeConfig: { deviceID: PCI_ADDRESS } }),
  inSysfs('deviceID under device', NIC, { device: DEVICE, runtimeConfig: { deviceID: PCI_ADDRESS } }),
  inSysfs('deviceID of a userspace driver under device', pciDevice(drivenBy('vfio-pci')), {
    device: DEVICE,
    runtimeConfig: { deviceID: PCI_ADDRESS },
  }),
  inSysfs('deviceID of an auxiliary device', AUXILIARY, { runtimeConfig: { deviceID: SF } }),
  inSysfs('deviceID of an auxiliary device over pciBusID', AUXILIARY, {
    pciBusID: PCI_ADDRESS,
    runtimeConfig: { deviceID: SF },
  }),
  inSysfs('deviceID of no device', AUXILIARY, { runtimeConfig: { deviceID: 'mlx5_core.sf.5' } }),
  inSysfs('deviceID of no device, device given', AUXILIARY, { device: DEVICE, runtimeConfig: { deviceID: 'x' } }),
  ...[null, '', {}, 7].map((deviceID) => one(`deviceID ${show(deviceID)}`, { runtimeConfig: { deviceID } })),
  inSysfs('kernelpath', NIC, { kernelpath: `/sys/${PCI_FOLDER}` }),
  inSysfs('kernelpath with a slash', NIC, { kernelpath: `/sys/${PCI_FOLDER}/` }),
  inSysfs('kernelpath of no device', NIC, { kernelpath: '/sys/devices/absent' }),
  inSysfs('kernelpath elsewhere', NIC, { kernelpath: `/sys/bus/pci/devices/${PCI_ADDRESS}` }),
  inSysfs('kernelpath that is relative', NIC, { kernelpath: `sys/${PCI_FOLDER}` }),
  inSysfs('kernelpath over pciBusID', NIC, { kernelpath: `/sys/${PCI_FOLDER}`, pciBusID: PCI_ADDRESS }),
  ...[`../devices/${PCI_ADDRESS}`, `${PCI_ADDRESS}/`, '..'].flatMap((path) => [
    inSysfs(`pciBusID ${path}`, NIC, { pciBusID: path }),
    inSysfs(`deviceID ${path}`, NIC, { runtimeConfig: { deviceID: path } }),
  ]),
  ...['/sys/devices/../devices/absent', `/sys/devices/../../sys/${PCI_FOLDER}`, '/sys/devices/..'].map((path) =>
    inSysfs(`kernelpath ${path}`, NIC, { kernelpath: path }),
  ),
  one('DPDKMode', { DPDKMode: true }),
];

const rest: readonly Case[] = [
  ...['name', 'type', 'ipam', 'dns', 'prevResult', 'runtimeConfig'].flatMap((key) =>
    [null, 'x', []].map((value) => one(`${key} ${show(value)}`, { [key]: value }, { version: '1.0.0' })),
  ),
  one('an address that is none', ipam(addresses('x')), { version: '1.0.0' }),
  one('an IPAM plugin that is missing', { ipam: { type: 'absent-ipam' } }, { version: '1.0.0' }),
  one('unknown keys', { cookie: [1, { a: null }], 'cni.dev/attachments': 'x', capabilities: { deviceID: true } }),
  one('CNI_ARGS that are malformed', {}, { call: { args: 'a;b=' } }),
  one('CNI_ARGS that nobody knows', {}, { call: { args: 'COLOUR=blue;MAC=02:5e:00:00:00:07' } }),
  raw('no bytes', ''),
  raw('null', 'null'),
  raw('a list', '[]'),
  raw('trailing bytes', `${JSON.stringify(base('1.0.0'))} x`),
];

const BRIDGE_IN_POD = ['pod: link add net1 type bridge'];
const names: readonly Case[] = [
  ...['abcdefghijklmno', 'abcdefghijklmnop', 'eth0.5', DEVICE, '..', 'a/b', 'lo', 'net%d', 'éééééé'].map((ifName) =>
    one(`interface name ${show(ifName)}`, {}, { version: '1.0.0', call: { ifName } }),
  ),
  one('name taken in the pod by a veth', {}, { prepare: ['pod: link add net1 type veth peer name net1-peer'] }),
  one(
    'name taken in the pod by an alternative name',
    {},
    { prepare: ['pod: link add other type bridge', 'pod: link property add dev other altname net1'] },
  ),
  one('name that the node has too', {}, { prepare: ['node: link add net1 type bridge'] }),
  one('a link in the pod that is called as the device', {}, { prepare: [`pod: link add ${DEVICE} type bridge`] }),
  one(
    'an alternative name that is CNI_IFNAME',
    {},
    { prepare: [`node: link property add dev ${DEVICE} altname net1`] },
  ),
  one(
    'an alternative name that the pod has',
    {},
    { prepare: [`node: link property add dev ${DEVICE} altname other`, 'pod: link add other type bridge'] },
  ),
  one('alternative names', {}, { prepare: [`node: link property add dev ${DEVICE} altname a-first altname a-second`] }),
  one('an alias', {}, { version: '1.0.0', prepare: [`node: link set ${DEVICE} alias uplink`] }),
  ...[
    ['its name taken on the node by DEL', `node: link add ${DEVICE} type bridge`],
    ['its name taken as an alternative name by DEL', `node: link property add dev lo altname ${DEVICE}`],
    ['renamed in the pod', 'pod: link set net1 name other'],
    ['another alias in the pod', 'pod: link set net1 alias nonsense'],
    ['its name as an alternative name in the pod', `pod: link property add dev net1 altname ${DEVICE}`],
    ['down in the pod', 'pod: link set net1 down'],
    ['gone from the pod', 'pod: link del net1'],
    ['another MTU in the pod', 'pod: link set net1 mtu 1300'],
  ].map(([title = '', command = '']) => one(title, {}, { version: '1.0.0', meanwhile: [command] })),
  one('ADD twice', {}, { version: '1.0.0', verbs: ['ADD', 'ADD', 'DEL', 'DEL'] }),
  one('DEL without ADD', {}, { version: '1.0.0', verbs: ['DEL', 'DEL'] }),
  one('DEL of a link that it has not moved', {}, { version: '1.0.0', verbs: ['DEL'], prepare: BRIDGE_IN_POD }),
];

const netnses: readonly Case[] = [
  ...['/run/netns/absent-of-braid', '/etc/hostname', '/etc', '/proc/self/ns/mnt'].flatMap((netns) =>
    [['ADD', 'DEL'], ['DEL']].map((verbs) =>
      one(`namespace ${netns}, ${verbs.join(' ')}`, {}, { version: '1.0.0', netns, verbs }),
    ),
  ),
  one('own namespace', {}, { version: '1.0.0', netns: '/proc/self/ns/net', verbs: ['ADD'] }),
  one('ADD without a namespace', {}, { version: '1.0.0', netns: '', verbs: ['ADD'] }),
  one('DEL without a namespace', {}, { version: '1.0.0', netns: '', verbs: ['DEL'] }),
];

const addressing: readonly Case[] = [
  ...[
    ['10.1.2.3/32'],
    ['10.1.2.3/31'],
    ['10.1.2.3/24', '10.1.2.3/24'],
    ['10.1.2.3/24', '10.1.2.4/24', '10.1.2.5/25'],
    ['fd00::3/128'],
    ['fd00::1/64', 'fd00::2/64', '10.1.2.3/24'],
    [],
  ].map((list) => one(`addresses ${show(list)}`, ipam(addresses(...list)), { version: '1.0.0' })),
  ...[
    [{ dst: '10.8.0.0/16', gw: '10.1.2.254' }],
    [{ dst: '10.8.0.5/16' }],
    [{ dst: '10.8.0.0/16', gw: '10.99.0.1' }],
    [
      { dst: '10.8.0.0/16', gw: '10.1.2.254' },
      { dst: '10.8.0.0/16', gw: '10.1.2.253' },
    ],
    [{ dst: '10.8.0.0/16' }, { dst: '10.8.0.0/16' }],
    [{ dst: '10.8.0.0/16', mtu: 1300, advmss: 1200, priority: 7, table: 77 }],
    [{ dst: '10.8.0.0/16', table: -1 }],
    [{ dst: '10.8.0.0/16', scope: 253 }],
    [{ dst: 'fd08::/16' }],
  ].map((routes) =>
    one(`routes ${show(routes)}`, ipam(addresses(['10.1.2.3/24', '10.1.2.1']), { routes }), { version: '1.1.0' }),
  ),
];

const checks: readonly Case[] = ['0.4.0', '1.1.0'].flatMap((version) => [
  ...[
    'addr del 10.1.2.3/24 dev net1',
    'route del default',
    'addr add 10.1.2.44/24 dev net1',
    'link set net1 address 02:5e:00:00:00:99',
  ].map((command) => one(`${command} before CHECK`, {}, { version, meanwhile: [`pod: ${command}`] })),
  one('no previous result in CHECK', {}, { version, checkWith: { prevResult: undefined } }),
  one('an empty previous result in CHECK', {}, { version, checkWith: { prevResult: {} } }),
  one('another device in CHECK', {}, { version, checkWith: { device: 'par-peer' } }),
]);

const verbs: readonly Case[] = [
  ...['0.3.1', '1.0.0', '1.1.0'].flatMap((version) =>
    ['STATUS', 'GC', 'CHECK'].map((verb) => one(verb, { ipam: undefined }, { version, verbs: [verb] })),
  ),
  one('STATUS with ipam', hostLocal({ ranges: [[{ subnet: '10.7.0.0/24' }]] }), {
    version: '1.1.0',
    verbs: ['STATUS'],
  }),
  one('STATUS without the device', { device: 'absent0' }, { version: '1.1.0', verbs: ['STATUS'] }),
  one('STATUS without a selector', { device: '' }, { version: '1.1.0', verbs: ['STATUS'] }),
  one('GC of nothing', { 'cni.dev/valid-attachments': [] }, { version: '1.1.0', verbs: ['GC'] }),
  one('VERSION', {}, { verbs: ['VERSION'] }),
  one('an unknown verb', {}, { verbs: ['FOO'] }),
];

/** The Go plugin leaves a device down. */
export const MEND = [`node: link set ${DEVICE} up`];

/** @returns all of them, each title once */
export const hostDeviceCases = (): readonly Case[] =>
  distinct([...spec, ...selectors, ...sysfs, ...rest, ...names, ...netnses, ...addressing, ...checks, ...verbs]).map(
    (each) => ({ ...each, mend: MEND }),
  );
