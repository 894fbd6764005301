/** Configurations of multus that our plugin and Go's are compared with. */

import { PARENT } from '../../lab/lab.ts';
import { VERSIONS } from '../../lab/programs.ts';
import type { Case } from '../../peers/compare.ts';

type Document = Readonly<Record<string, unknown>>;
type Options = Partial<Omit<Case, 'title' | 'plugin' | 'conf'>> & { readonly version?: string };

/** Chosen by us, so that what is on disk can be compared to the byte. */
const MACS = ['02:5e:00:00:00:10', '02:5e:00:00:00:11', '02:5e:00:00:00:12', '02:5e:00:00:00:13'];
const POD_ARGS =
  'IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u1';

const link = (index: number, more: Document = {}): Document => ({
  cniVersion: '1.0.0',
  name: `net-${index}`,
  type: 'macvlan',
  master: PARENT,
  mac: MACS[index],
  ...more,
});
const staticIpam = (index: number, more: Document = {}): Document => ({
  ipam: { type: 'static', addresses: [{ address: `10.1.${index}.3/24`, gateway: `10.1.${index}.1` }], ...more },
});
const hostLocal = (index: number): Document => ({
  ipam: { type: 'host-local', dataDir: '{store}/host-local', ranges: [[{ subnet: `10.7.${index}.0/24` }]] },
});
const list = (index: number, plugins: readonly Document[], more: Document = {}): Document => ({
  cniVersion: '1.0.0',
  name: `net-${index}`,
  plugins,
  ...more,
});
const plain = (index: number, more: Document = {}): Document => ({
  type: 'macvlan',
  master: PARENT,
  mac: MACS[index],
  ...more,
});
const tuning: Document = { type: 'tuning', sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1' } };

function one(
  title: string,
  delegates: unknown,
  more: Document = {},
  { version = '1.0.0', ...options }: Options = {},
): Case {
  const conf = {
    cniVersion: version,
    name: 'node',
    type: 'multus',
    cniDir: '{store}/cni',
    binDir: '{bin}',
    delegates,
    ...more,
  };
  return {
    title: `${title} (${version})`,
    plugin: 'multus',
    conf,
    macs: MACS,
    ...options,
    call: { ifName: 'eth0', args: POD_ARGS, ...options.call },
  };
}

const delegated = (version: string, index = 0): Document =>
  link(index, { cniVersion: version, ...staticIpam(index, { routes: [{ dst: '10.8.0.0/16' }] }) });

/** A value that would be waited for, or would lead out of the lab. */
const isPath = (key: string, value: unknown): boolean =>
  (['cniDir', 'logFile', 'readinessindicatorfile'].includes(key) && value === 'x') ||
  (key === 'cniDir' && value === null);

const spec: readonly Case[] = [
  ...VERSIONS.flatMap((version) => [
    one('one delegate of the same version', [delegated(version)], {}, { version }),
    one(
      'three delegates',
      [
        delegated(version),
        link(1, { cniVersion: version, ...hostLocal(1) }),
        link(2, { cniVersion: version, ...staticIpam(2) }),
      ],
      {},
      { version },
    ),
    one('a delegate of version 1.0.0', [delegated('1.0.0')], {}, { version }),
    one(
      'a list of chained plugins',
      [list(0, [plain(0, staticIpam(0)), tuning], { cniVersion: version })],
      {},
      { version },
    ),
    one(`a delegate of version ${version}`, [delegated('0.4.0'), delegated(version, 1)], {}, { version: '1.0.0' }),
  ]),
  one('a delegate without a version', [link(0, { cniVersion: undefined, ...staticIpam(0) })], {}, { version: '0.3.1' }),
  one(
    'a list without a version',
    [list(0, [plain(0, staticIpam(0))], { cniVersion: undefined })],
    {},
    { version: '1.0.0' },
  ),
  one('a list with cniVersions', [
    list(0, [plain(0, staticIpam(0))], { cniVersion: '0.3.1', cniVersions: ['0.4.0', '1.0.0', '9.9.9'] }),
  ]),
  one('a list with disableCheck', [list(0, [plain(0, staticIpam(0))], { disableCheck: true })]),
  one('a list with disableCheck as a word', [
    list(0, [plain(0, staticIpam(0))], { disableCheck: 'True', disableGC: 'false' }),
  ]),
  one('a delegate of layer 2', [link(0)]),
  one('delegates of layer 2', [link(0), link(1), link(2)]),
  one('a list of one plugin', [list(0, [plain(0)])]),
];

const inputs: readonly Case[] = [
  one('no CNI_ARGS', [link(0)], {}, { call: { args: '' } }),
  one(
    'CNI_ARGS of Kubernetes and more',
    [link(0), link(1)],
    {},
    { call: { args: `${POD_ARGS};COLOUR=blue;K8S_POD_UID=u2` } },
  ),
  one(
    'CNI_ARGS in another order',
    [link(0)],
    {},
    { call: { args: 'K8S_POD_NAME=web-0;IgnoreUnknown=true;K8S_POD_NAMESPACE=lab' } },
  ),
  ...['A=b', 'A', 'A=b=c', 'IgnoreUnknown=x', 'K8S_POD_NAME', ';'].map((args) =>
    one(`CNI_ARGS ${args}`, [link(0)], {}, { call: { args } }),
  ),
  one('capabilities of a delegate', [link(0, { capabilities: { mac: true }, mac: undefined })], {
    runtimeConfig: { mac: MACS[3] },
    capabilities: { mac: true },
  }),
  one('capabilities that a delegate does not declare', [link(0)], { runtimeConfig: { mac: MACS[3] } }),
  one('capabilities that are false', [link(0, { capabilities: { mac: false } })], { runtimeConfig: { mac: MACS[3] } }),
  one(
    'capabilities of plugins of a list',
    [list(0, [plain(0, { capabilities: { mac: true }, mac: undefined }), { ...tuning, capabilities: { mac: true } }])],
    { runtimeConfig: { mac: MACS[3] } },
  ),
  one(
    'all that runtimeConfig may have',
    [
      link(0, {
        capabilities: {
          ips: true,
          mac: true,
          portMappings: true,
          bandwidth: true,
          deviceID: true,
          infinibandGUID: true,
          CNIDeviceInfoFile: true,
        },
      }),
    ],
    {
      runtimeConfig: {
        portMappings: [
          { hostPort: 80, containerPort: 8080, protocol: 'tcp' },
          { HostPort: 1, ContainerPort: 2, HostIP: '10.0.0.1' },
        ],
        bandwidth: { ingressRate: 1, ingressBurst: 2, egressRate: 3000000000, egressBurst: 4 },
        ips: ['10.9.9.9/24'],
        mac: MACS[0],
        infinibandGUID: 'y',
        CNIDeviceInfoFile: '/z',
        unknown: 1,
      },
    },
  ),
  one('a device in runtimeConfig', [link(0, { capabilities: { deviceID: true, CNIDeviceInfoFile: true } }), link(1)], {
    runtimeConfig: { deviceID: '0000:01:00.1' },
  }),
  one(
    'runtimeConfig for several',
    [link(0, { capabilities: { mac: true }, mac: undefined }), link(1, { capabilities: { ips: true } })],
    { runtimeConfig: { mac: MACS[3], ips: ['10.9.9.9/24'] } },
  ),
  one('keys in other letters', undefined, { Delegates: [link(0)], CNIDIR: '{store}/cni', cniDir: undefined }),
  one('unknown keys', [link(0, { cookie: { a: [1, null] } })], { cookie: 1 }),
  one('characters that Go escapes', [link(0, { note: '<a> & "b" \u2028 é 😀' })]),
  one('numbers of several forms', [
    link(0, { numbers: [1.5, 1e3, 100000000000000000000, 0.1, -0, 1e-7, 123456789012] }),
  ]),
  one('log settings', [link(0)], { logLevel: 'debug', logToStderr: false }),
  one('a previous result', [link(0)], { prevResult: { cniVersion: '1.0.0', ips: [{ address: '10.9.9.9/24' }] } }),
  one('dns and ipam of its own', [link(0)], { dns: { domain: 'a' }, ipam: { type: 'x' } }),
  one('a delegate with dns', [link(0, { dns: { nameservers: ['10.0.0.1'] }, ...staticIpam(0) })]),
];

const single = { ...link(0), name: 'cluster' };
const clusters: readonly Case[] = [
  one(
    'a cluster network of one plugin',
    undefined,
    { clusterNetwork: '{store}/net.d/10-a.conf' },
    { files: { 'net.d/10-a.conf': single } },
  ),
  one(
    'a cluster network of a list',
    undefined,
    { clusterNetwork: '{store}/net.d/10-a.conflist' },
    { files: { 'net.d/10-a.conflist': list(0, [plain(0), tuning]) } },
  ),
  one(
    'a cluster network with chained files',
    undefined,
    { clusterNetwork: '{store}/net.d/10-a.conflist' },
    { files: { 'net.d/10-a.conflist': list(0, [plain(0)]), 'net.d/net-0/20-b.conf': tuning } },
  ),
  one(
    'a cluster network that is a folder',
    undefined,
    { clusterNetwork: '{store}/net.d' },
    { files: { 'net.d/20-b.conflist': list(1, [plain(1)]), 'net.d/10-a.conf': single } },
  ),
  one(
    'a cluster network and delegates',
    [link(2)],
    { clusterNetwork: '{store}/net.d/10-a.conf' },
    { files: { 'net.d/10-a.conf': single } },
  ),
  one(
    'a cluster network and default networks',
    undefined,
    { clusterNetwork: '{store}/net.d/10-a.conf', defaultNetworks: ['{store}/net.d/20-b.conf'] },
    { files: { 'net.d/10-a.conf': single, 'net.d/20-b.conf': link(1) } },
  ),
];

const failures: readonly Case[] = [
  one('no delegates', undefined),
  one('an empty list', []),
  one('a delegate without a type', [{ name: 'x' }]),
  one('a delegate that is a text', ['x']),
  one('a delegate with wrong ipam', [link(0, { ipam: 'x' })]),
  one('a delegate without a name', [link(0, { name: undefined })]),
  one('a list without a name', [list(0, [plain(0)], { name: undefined })]),
  one('a delegate with a bad name', [link(0, { name: 'a/b' })]),
  one('a delegate that is not found', [link(0, { type: 'absent-plugin' })]),
  one('a first delegate that fails', [link(0, { mtu: 9000 }), link(1)]),
  one('a second delegate that fails', [link(0, hostLocal(0)), link(1, { mtu: 9000 })]),
  one('a third delegate that fails', [link(0, hostLocal(0)), link(1), link(2, { master: 'absent0' })]),
  one('a chained plugin that fails', [
    list(0, [plain(0, hostLocal(0)), { type: 'tuning', sysctl: { 'net.absent': '1' } }]),
  ]),
  one('a delegate whose address is taken', [link(0, staticIpam(0)), link(1, { mac: MACS[0] })]),
  one('an interface that is there', [link(0)], {}, { prepare: ['pod: link add eth0 type bridge'] }),
  one('a second interface that is there', [link(0), link(1)], {}, { prepare: ['pod: link add net1 type bridge'] }),
  one('a delegate of an unknown version', [link(0, { cniVersion: '9.9.9' })]),
  ...(
    [
      'cniDir',
      'binDir',
      'logFile',
      'logLevel',
      'logOptions',
      'delegates',
      'runtimeConfig',
      'prevResult',
      'dns',
      'ipam',
      'capabilities',
      'namespaceIsolation',
      'readinessindicatorfile',
      'clusterNetwork',
      'defaultNetworks',
      'systemNamespaces',
      'retryDeleteOnError',
    ] as const
  ).flatMap((key) =>
    [7, 1.5, 'x', [], {}, null]
      .filter((value) => !isPath(key, value))
      .map((value) => one(`${key} ${JSON.stringify(value)}`, [link(0)], { [key]: value })),
  ),
];

const verbs: readonly Case[] = [
  one('DEL without ADD', [link(0), link(1)], {}, { verbs: ['DEL', 'DEL'] }),
  one('DEL without ADD and with host-local', [link(0, hostLocal(0))], {}, { verbs: ['DEL'] }),
  one('ADD twice', [link(0, hostLocal(0))], {}, { verbs: ['ADD', 'ADD', 'DEL', 'DEL'] }),
  one('CHECK when the second link is gone', [link(0), link(1)], {}, { meanwhile: ['pod: link del net1'] }),
  one('CHECK of an old delegate', [link(0, { cniVersion: '0.3.1' })]),
  one('STATUS', [link(0, { cniVersion: '1.1.0' })], {}, { version: '1.1.0', verbs: ['STATUS'] }),
  one('STATUS of an old delegate', [link(0)], {}, { version: '1.1.0', verbs: ['STATUS'] }),
  one('DEL with retryDeleteOnError', [link(0), link(1)], { retryDeleteOnError: true }),
  one('a link on the one that the network before has made', [
    link(0, staticIpam(0)),
    link(1, { ...staticIpam(1), linkInContainer: true, master: 'eth0' }),
    link(2, { linkInContainer: true, master: 'net1' }),
  ]),
  one(
    'DEL when a link is gone',
    [link(0, hostLocal(0)), link(1)],
    {},
    { version: '0.3.1', meanwhile: ['pod: link del net1'] },
  ),
  one(
    'DEL when the parent is gone',
    [link(0, hostLocal(0)), link(1)],
    {},
    { version: '0.3.1', meanwhile: ['node: link del par'] },
  ),
];

export function multusCases(): readonly Case[] {
  const seen = new Map<string, number>();
  return [...spec.map((each) => ({ ...each, dels: 2 })), ...inputs, ...clusters, ...failures, ...verbs].map((each) => {
    const count = (seen.get(each.title) ?? 0) + 1;
    seen.set(each.title, count);
    return count === 1 ? each : { ...each, title: `${each.title} #${count}` };
  });
}
