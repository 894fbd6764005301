/** What macvlan refuses. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answer, fake } from '../../lab/fakes.ts';
import { type Lab, PARENT, type Pod } from '../../lab/lab.ts';
import { OURS } from '../../lab/programs.ts';
import type { Row } from '../../lab/refuse.ts';

export const macvlan = (more: object) => ({
  cniVersion: '1.0.0',
  name: 'net-a',
  type: 'macvlan',
  master: PARENT,
  ...more,
});
const STATIC = { type: 'static', addresses: [{ address: '10.1.2.3/24' }] };
const ip = (text: string) => (lab: Lab, pod: Pod) => lab.ip(pod.name, text).then(() => undefined);
const onNode =
  (...commands: readonly string[]) =>
  async (lab: Lab) => {
    for (const command of commands) {
      await lab.ip(lab.node, command);
    }
  };
const ipamFake =
  (script: string, options = {}) =>
  (lab: Lab) => ({ path: [fake(lab, 'fake-ipam', script, options), ...OURS.path] });
export const FAKE = macvlan({ ipam: { type: 'fake-ipam' } });

const WRONG_TYPES: readonly Row[] = [
  ...(['master', 'mode', 'mac'] as const).flatMap((key) => [7, true, [], {}].map((value) => [key, value] as const)),
  ...(['mtu', 'bcqueuelen'] as const).flatMap((key) =>
    ['1500', true, [], {}, 1.5, -1].map((value) => [key, value] as const),
  ),
  ...['true', 0, [], {}].map((value) => ['linkInContainer', value] as const),
  ...['x', 7, 1.5, true, []].flatMap(
    (value) =>
      [
        ['ipam', value],
        ['dns', value],
        ['runtimeConfig', value],
      ] as const,
  ),
].map(
  ([key, value]): Row => ({
    title: `"${key}" ${JSON.stringify(value)}`,
    conf: macvlan({ [key]: value }),
    code: 7,
    says: [`"${key}"`, JSON.stringify(value)],
  }),
);

export const BAD: readonly Row[] = [
  ...WRONG_TYPES,
  ...[7, true, [], {}].map(
    (type): Row => ({
      title: `"ipam.type" ${JSON.stringify(type)}`,
      conf: macvlan({ ipam: { type } }),
      code: 7,
      says: ['"ipam.type"', JSON.stringify(type)],
    }),
  ),
  {
    title: '"dns.nameservers" that is no list',
    conf: macvlan({ dns: { nameservers: 'x' } }),
    code: 7,
    says: ['dns.nameservers', '"x"'],
  },
  {
    title: '"runtimeConfig.mac" that is no text',
    conf: macvlan({ runtimeConfig: { mac: 7 } }),
    code: 7,
    says: ['runtimeConfig.mac', '7'],
  },
  { title: 'broken JSON', conf: '{"name": "a",', code: 6 },
  { title: 'trailing bytes', conf: `${JSON.stringify(macvlan({}))}!`, code: 6 },
  { title: 'bytes that are no text', conf: Buffer.from([0xff, 0xfe, 0x00]), code: 6 },
  { title: 'a version that nobody knows', conf: macvlan({ cniVersion: '9.9.9' }), code: 1 },
  { title: 'a parent that is missing', conf: macvlan({ master: 'absent0' }), code: 7, says: ['"master"', 'absent0'] },
  {
    title: 'a parent with a long name that is missing',
    conf: macvlan({ master: 'absent-and-more-than-fifteen' }),
    code: 7,
    says: ['"master"', 'absent-and-more-than-fifteen'],
  },
  { title: 'no parent and no default route', conf: macvlan({ master: '' }), code: 7, says: ['"master"'] },
  {
    title: 'a parent that is enslaved',
    conf: macvlan({}),
    prepare: onNode('link add br9 type bridge', `link set ${PARENT} master br9`),
    code: 999,
    says: [`"${PARENT}"`, 'EBUSY'],
  },
  {
    title: 'a parent in passthru already',
    conf: macvlan({}),
    prepare: onNode(`link add mv9 link ${PARENT} type macvlan mode passthru`),
    code: 999,
    says: [`"${PARENT}"`, 'EINVAL'],
  },
  { title: 'a loopback parent', conf: macvlan({ master: 'lo' }), code: 999, says: ['"lo"', 'EINVAL'] },
  { title: 'an mtu too big', conf: macvlan({ mtu: 9000 }), code: 7, says: ['"mtu"', '9000', '1500'] },
  { title: 'an mtu too small for the kernel', conf: macvlan({ mtu: 67 }), code: 999, says: ['net1', 'EINVAL'] },
  {
    title: 'a mode that is unknown',
    conf: macvlan({ mode: 'source' }),
    code: 7,
    says: ['"mode"', '"source"', '"bridge"'],
  },
  ...['02:5e', 'zz:5e:00:00:00:07', '02:5e:00:00:00:07:08:09', ' 02:5e:00:00:00:07'].map(
    (mac): Row => ({
      title: `a hardware address ${JSON.stringify(mac)}`,
      conf: macvlan({ mac }),
      code: 7,
      says: ['"mac"', `"${mac}"`],
    }),
  ),
  {
    title: 'a multicast hardware address',
    conf: macvlan({ mac: '01:00:5e:00:00:01' }),
    code: 7,
    says: ['"mac"', '01:00:5e:00:00:01', 'multicast'],
  },
  {
    title: 'a multicast hardware address of the runtime',
    conf: macvlan({ runtimeConfig: { mac: 'ff:ff:ff:ff:ff:ff' } }),
    code: 7,
    says: ['mac', 'ff:ff:ff:ff:ff:ff'],
  },
  {
    title: 'a malformed hardware address in CNI_ARGS',
    conf: macvlan({}),
    call: { args: 'MAC=nonsense' },
    code: 4,
    says: ['MAC of CNI_ARGS', 'nonsense'],
  },
  {
    title: 'a multicast hardware address in CNI_ARGS',
    conf: macvlan({ mac: '02:00:00:00:00:07' }),
    call: { args: 'IgnoreUnknown=1;MAC=01:00:5e:00:00:01' },
    code: 4,
    says: ['MAC of CNI_ARGS', '01:00:5e:00:00:01'],
  },
  ...['MAC', 'MAC=a=b', 'MAC=a;', ';', '='].map(
    (args): Row => ({ title: `CNI_ARGS ${args}`, conf: macvlan({}), call: { args }, code: 4, says: ['CNI_ARGS'] }),
  ),
  {
    title: 'unknown CNI_ARGS',
    conf: macvlan({}),
    call: { args: 'COLOUR=blue' },
    code: 4,
    says: ['CNI_ARGS', 'COLOUR=blue'],
  },
  {
    title: 'IgnoreUnknown that is no boolean',
    conf: macvlan({}),
    call: { args: 'IgnoreUnknown=maybe' },
    code: 4,
    says: ['IgnoreUnknown', 'maybe'],
  },
  {
    title: 'a namespace that is missing',
    conf: macvlan({}),
    call: { netns: '/run/netns/absent-of-braid' },
    code: 999,
    says: ['/run/netns/absent-of-braid', 'no such file or directory'],
  },
  {
    title: 'a namespace that is a file',
    conf: macvlan({}),
    call: { netns: '/etc/hostname' },
    code: 8,
    says: ['/etc/hostname'],
  },
  { title: 'a namespace that is a folder', conf: macvlan({}), call: { netns: '/etc' }, code: 8, says: ['/etc'] },
  {
    title: 'a namespace of another kind',
    conf: macvlan({}),
    call: { netns: '/proc/self/ns/mnt' },
    code: 8,
    says: ['/proc/self/ns/mnt'],
  },
  {
    title: 'a file of /proc that is no namespace',
    conf: macvlan({}),
    call: { netns: '/proc/self/status' },
    code: 8,
    says: ['/proc/self/status'],
  },
  {
    title: "the plugin's own namespace",
    conf: macvlan({}),
    call: { netns: '/proc/self/ns/net' },
    code: 8,
    says: ['/proc/self/ns/net'],
  },
  {
    title: 'a name that is taken',
    conf: macvlan({ ipam: STATIC }),
    prepare: ip('link add net1 type veth peer name net1-peer'),
    code: 999,
    says: ['"net1"', 'EEXIST'],
  },
  {
    title: 'a name that is taken as an alternative name',
    conf: macvlan({}),
    prepare: async (lab, pod) => {
      await lab.ip(pod.name, 'link add other type bridge');
      await lab.ip(pod.name, 'link property add dev other altname net1');
    },
    code: 999,
    says: ['"net1"', 'EEXIST'],
  },
  { title: 'the name lo', conf: macvlan({}), call: { ifName: 'lo' }, code: 999, says: ['"lo"'] },
  ...['net%d', '%d', '%'].map(
    (ifName): Row => ({
      title: `the name ${ifName}, in which the kernel sees a pattern`,
      conf: macvlan({}),
      call: { ifName },
      code: [4, 999],
      says: [ifName],
    }),
  ),
  {
    title: 'a hardware address that a sibling has',
    conf: macvlan({ mac: '02:5e:00:00:00:07' }),
    prepare: onNode(
      `link add mv9 link ${PARENT} address 02:5e:00:00:00:07 type macvlan mode bridge`,
      'link set mv9 up',
    ),
    code: 999,
    says: ['net1', 'EADDRINUSE'],
  },
  {
    title: 'an IPAM plugin that is missing',
    conf: macvlan({ ipam: { type: 'absent-ipam' } }),
    code: 999,
    says: ['"absent-ipam"', /failed to find plugin/],
  },
  {
    title: 'an IPAM plugin with a path',
    conf: macvlan({ ipam: { type: '../static' } }),
    code: 999,
    says: ['../static'],
  },
  {
    title: 'an IPAM plugin that is a folder',
    conf: FAKE,
    prepare: (lab) => ({ path: [join(lab.folder('fake/fake-ipam'), '..')] }),
    code: 999,
    says: ['fake-ipam'],
  },
  {
    title: 'an IPAM plugin that is not executable',
    conf: FAKE,
    prepare: ipamFake(':', { mode: 0o644 }),
    code: 999,
    says: ['fake-ipam', /permission denied|EACCES/i],
  },
  {
    title: 'an IPAM plugin that is no program',
    conf: FAKE,
    prepare: (lab) => {
      const path = lab.folder('fake');
      writeFileSync(join(path, 'fake-ipam'), Buffer.from([0, 1, 2, 3]));
      chmodSync(join(path, 'fake-ipam'), 0o755);
      return { path: [path] };
    },
    code: 999,
    says: ['fake-ipam', /ENOEXEC|exec format/i],
  },
  {
    title: 'an IPAM plugin whose interpreter is missing',
    conf: FAKE,
    prepare: (lab) => {
      const path = lab.folder('fake');
      writeFileSync(join(path, 'fake-ipam'), '#!/absent/interpreter\n');
      chmodSync(join(path, 'fake-ipam'), 0o755);
      return { path: [path] };
    },
    code: 999,
    says: ['fake-ipam'],
  },
  {
    title: 'an IPAM plugin that prints garbage',
    conf: FAKE,
    prepare: ipamFake('echo "hello <world>"'),
    code: 999,
    says: ['fake-ipam', 'hello <world>'],
  },
  {
    title: 'an IPAM plugin that prints two documents',
    conf: FAKE,
    prepare: ipamFake('echo "{}{}"'),
    code: 999,
    says: ['fake-ipam', '{}{}'],
  },
  {
    title: 'an IPAM plugin that prints a list',
    conf: FAKE,
    prepare: ipamFake('echo "[]"'),
    code: 999,
    says: ['fake-ipam', '[]'],
  },
  { title: 'an IPAM plugin that prints nothing', conf: FAKE, prepare: ipamFake(':'), code: 999, says: ['fake-ipam'] },
  {
    title: 'an IPAM plugin that dies by a signal',
    conf: FAKE,
    prepare: ipamFake('kill -9 $$'),
    code: 999,
    says: [/signal|killed|SIGKILL/i],
  },
  {
    title: 'an IPAM plugin that fails without a word',
    conf: FAKE,
    prepare: ipamFake('exit 3'),
    code: 999,
    says: ['3'],
  },
  {
    title: 'an IPAM plugin that fails with a word on stderr',
    conf: FAKE,
    prepare: ipamFake('echo "no luck" >&2; exit 1'),
    code: 999,
    says: ['no luck'],
  },
  {
    title: 'an IPAM plugin that fails with garbage on stdout',
    conf: FAKE,
    prepare: ipamFake('echo "no luck"; exit 1'),
    code: 999,
    says: ['no luck'],
  },
  {
    title: 'an IPAM plugin that fails with a code of its own',
    conf: FAKE,
    prepare: ipamFake(`echo '{"code":113,"msg":"no luck","details":"none"}'; exit 1`),
    code: 113,
    says: ['no luck'],
  },
  {
    title: 'an IPAM plugin that asks for patience',
    shows: 'all/code-of-delegate',
    conf: FAKE,
    prepare: ipamFake(`echo '{"code":11,"msg":"later"}'; exit 1`),
    code: 11,
    says: ['later'],
  },
  {
    title: 'an IPAM plugin that gives no address',
    conf: FAKE,
    prepare: ipamFake(answer({ cniVersion: '1.0.0', ips: [] })),
    code: 999,
    says: ['fake-ipam', 'no IP address'],
  },
  {
    title: 'an IPAM plugin that answers null',
    conf: FAKE,
    prepare: ipamFake('echo null'),
    code: 999,
    says: ['fake-ipam', 'no IP address'],
  },
  ...[
    { ips: [{ address: '10.1.2.3' }] },
    { ips: [{ address: '10.1.2.300/24' }] },
    { ips: [{ address: 7 }] },
    { ips: [{}] },
    { ips: [null] },
    { ips: {} },
    { ips: [{ address: '10.1.2.3/24', gateway: 'x' }] },
    { ips: [{ address: '10.1.2.3/24' }], routes: [{ dst: 'x' }] },
    { ips: [{ address: '10.1.2.3/24' }], routes: [null] },
    { ips: [{ address: '10.1.2.3/24' }], routes: 'x' },
    { ips: [{ address: '10.1.2.3/24' }], dns: [] },
    { ips: [{ address: '10.1.2.3/24' }], interfaces: 7 },
    { cniVersion: '9.9.9', ips: [{ address: '10.1.2.3/24' }] },
    { cniVersion: 7, ips: [{ address: '10.1.2.3/24' }] },
  ].map(
    (result): Row => ({
      title: `an IPAM plugin that answers ${JSON.stringify(result)}`,
      conf: FAKE,
      prepare: ipamFake(answer({ cniVersion: '1.0.0', ...result })),
      code: 999,
    }),
  ),
  {
    title: 'an IPAM plugin that gives an address twice',
    conf: FAKE,
    prepare: ipamFake(answer({ cniVersion: '1.0.0', ips: [{ address: '10.1.2.3/24' }, { address: '10.1.2.3/24' }] })),
    code: 999,
    says: ['10.1.2.3/24', 'EEXIST'],
  },
  {
    title: 'a route that leads nowhere',
    conf: FAKE,
    prepare: ipamFake(
      answer({
        cniVersion: '1.0.0',
        ips: [{ address: '10.1.2.3/24' }],
        routes: [{ dst: '10.8.0.0/16', gw: '192.0.2.1' }],
      }),
    ),
    code: 999,
    says: ['10.8.0.0/16', '192.0.2.1', 'ENETUNREACH'],
  },
  {
    title: 'a route that is given twice',
    conf: FAKE,
    prepare: ipamFake(
      answer({
        cniVersion: '1.0.0',
        ips: [{ address: '10.1.2.3/24' }],
        routes: [{ dst: '10.8.0.0/16' }, { dst: '10.8.0.0/16' }],
      }),
    ),
    code: 999,
    says: ['10.8.0.0/16', 'EEXIST'],
  },
  ...[
    { table: -1 },
    { priority: -1 },
    { mtu: -1 },
    { advmss: -5 },
    { scope: 300 },
    { scope: -1 },
    { table: 2 ** 32 },
  ].map(
    (attribute): Row => ({
      title: `a route with ${JSON.stringify(attribute)}`,
      conf: FAKE,
      prepare: ipamFake(
        answer({
          cniVersion: '1.0.0',
          ips: [{ address: '10.1.2.3/24' }],
          routes: [{ dst: '10.8.0.0/16', ...attribute }],
        }),
      ),
      code: [7, 999],
      says: [Object.keys(attribute)[0] ?? ''],
    }),
  ),
  {
    title: 'an IPAM plugin that does not read a long stdin and fails',
    conf: macvlan({ ipam: { type: 'fake-ipam' }, x: 'x'.repeat(1 << 20) }),
    prepare: ipamFake(`exec <&-; echo '{"code":113,"msg":"unread"}'; exit 1`),
    code: 113,
    says: ['unread'],
  },
];
