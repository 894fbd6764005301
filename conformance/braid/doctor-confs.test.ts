/** braid doctor reads configurations as the plugins do: what every ADD refuses, and unknown keys. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PARENT } from '../lab/lab.ts';
import { errorOf } from '../lab/printed.ts';
import { BraidNode } from './lab.ts';

interface Finding {
  readonly level: 'fault' | 'warning';
  readonly text: string;
  readonly fix: string;
}

const onNode = (test: (node: BraidNode) => Promise<void>) => async () => {
  await using node = await BraidNode.open();
  await node.braid(`install --bin ${node.bin} --form script`);
  await test(node);
};

/** What doctor says of these files alone. */
async function examine(node: BraidNode, ...documents: readonly object[]): Promise<readonly Finding[]> {
  mkdirSync(node.confDir, { recursive: true });
  for (const [index, document] of documents.entries()) {
    const ending = 'plugins' in document ? 'conflist' : 'conf';
    writeFileSync(join(node.confDir, `${index}0-net.${ending}`), JSON.stringify(document));
  }
  const { stdout } = await node.about(`doctor --cri none --bin ${node.bin}`, '--json');
  return JSON.parse(stdout) as readonly Finding[];
}

const given = (node: BraidNode, ipam: object) => ({
  type: 'whereabouts',
  datastore: 'file',
  data_dir: node.store,
  range: '10.77.0.0/24',
  ...ipam,
});

/** Configurations of one plugin that ADD refuses. */
const REFUSED: readonly { readonly title: string; conf(node: BraidNode): { readonly type: string } }[] = [
  { title: 'a wrong type', conf: () => ({ type: 'macvlan', mtu: 'large' }) },
  { title: 'an unknown word', conf: () => ({ type: 'macvlan', mode: 'bride' }) },
  { title: 'a hardware address', conf: () => ({ type: 'macvlan', mac: 'zz' }) },
  { title: 'a version', conf: () => ({ type: 'macvlan', cniVersion: '1.2.0' }) },
  { title: 'a result that cannot be printed', conf: () => ({ type: 'macvlan', cniVersion: '0.2.0' }) },
  { title: 'nothing to give', conf: (node) => ({ type: 'macvlan', ipam: given(node, { range: '' }) }) },
  {
    title: 'keys of host-local alone',
    conf: (node) => ({ type: 'macvlan', ipam: given(node, { range: '', subnet: '10.77.0.0/24' }) }),
  },
  {
    title: 'a window that is reversed',
    conf: (node) => ({ type: 'macvlan', ipam: given(node, { range: '10.77.0.9-10.77.0.2/24' }) }),
  },
  {
    title: 'a flat file that is missing',
    conf: (node) => ({ type: 'macvlan', ipam: given(node, { configuration_path: '/no/such' }) }),
  },
  { title: 'no datastore', conf: () => ({ type: 'macvlan', ipam: { type: 'whereabouts', range: '10.77.0.0/24' } }) },
  { title: 'a wrong exclusion', conf: (node) => ({ type: 'macvlan', ipam: given(node, { exclude: ['x'] }) }) },
  { title: 'a VLAN', conf: () => ({ type: 'sriov', deviceID: '0000:65:00.1', vlan: 5000 }) },
  { title: 'keys that need others', conf: () => ({ type: 'sriov', deviceID: '0000:65:00.1', vlanQoS: 3 }) },
  { title: 'a PCI address', conf: () => ({ type: 'sriov', deviceID: 'eth0' }) },
  { title: 'rdma by itself', conf: () => ({ type: 'rdma' }) },
  { title: 'sbr by itself', conf: () => ({ type: 'sbr' }) },
  {
    title: 'an address without its prefix length',
    conf: () => ({ type: 'macvlan', ipam: { type: 'static', addresses: [{ address: '10.77.0.5' }] } }),
  },
  { title: 'a device that is a number', conf: () => ({ type: 'host-device', device: 7 }) },
  { title: 'a list of delegates that is empty', conf: () => ({ type: 'multus', delegates: [] }) },
  { title: 'a delegate without a name', conf: () => ({ type: 'multus', delegates: [{ type: 'macvlan' }] }) },
  { title: 'what needs Kubernetes', conf: () => ({ type: 'multus', kubeconfig: '/x', delegates: [] }) },
  { title: 'a cluster network that is missing', conf: () => ({ type: 'multus', clusterNetwork: '/no/such.conf' }) },
];

describe('braid doctor', () => {
  it.each(REFUSED)('says what ADD says of $title', async ({ conf }) => {
    await using node = await BraidNode.open();
    await node.braid(`install --bin ${node.bin} --form script`);
    const document = { cniVersion: '1.1.0', name: 'net', ...conf(node) };
    const pod = await node.pod();
    const added = await node.lab.call({ verb: 'ADD', plugin: document.type, conf: document, netns: pod.path });
    const { message } = errorOf(added);
    const found = await examine(node, document);
    const said = found.filter(({ level }) => level === 'fault').map(({ text }) => text.replace(/^network "net": /, ''));
    expect(
      said.some((text) => text !== '' && message.endsWith(text)),
      `${message}\n${said.join('\n')}`,
    ).toBe(true);
  });

  it(
    'reads chained plugins, delegates, delegates of delegates in files, and IPAM of plugins that are not ours',
    onNode(async (node) => {
      const far = join(node.lab.dir, 'far.conflist');
      writeFileSync(
        far,
        JSON.stringify({
          cniVersion: '1.1.0',
          name: 'far',
          plugins: [{ type: 'macvlan', master: PARENT, mtu: 'far' }],
        }),
      );
      const found = await examine(
        node,
        { cniVersion: '1.1.0', name: 'a', plugins: [{ type: 'tuning' }, { type: 'sriov', vlan: 'chained' }] },
        { ...node.multus([{ name: 'b', plugins: [{ type: 'macvlan', mtu: 'inner' }] }]), name: 'b' },
        { cniVersion: '1.1.0', name: 'c', type: 'multus', clusterNetwork: far },
        { cniVersion: '1.1.0', name: 'd', type: 'bridge', ipam: given(node, { range: 'foreign' }) },
        { cniVersion: '1.1.0', name: 'e', plugins: [] },
      );
      for (const words of ['"chained" is not', '"inner" is not', '"far" is not', '"foreign"', 'has no plugin']) {
        expect(found).toContainEqual({
          level: 'fault',
          text: expect.stringContaining(words),
          fix: expect.stringMatching(/net\.d/),
        });
      }
    }),
  );

  it.each([
    ['subnet', { subnet: '10.77.0.0/24' }, /^network "net": unknown key of macvlan: "ipam.subnet"/, /"range"/],
    ['etcd_host', { etcd_host: 'x' }, /"ipam.etcd_host"/, /"datastore": "file"/],
    ['secondary_range', { secondary_range: 'x' }, /"ipam.secondary_range"/, /"ipRanges"/],
    [
      'enable_overlapping_ranges of a range',
      { ipRanges: [{ range: '10.78.0.0/24', enable_overlapping_ranges: false }] },
      /"ipam.ipRanges\[0\].enable_overlapping_ranges"/,
      /"ipam.enable_overlapping_ranges"/,
    ],
    ['a key of a route', { routes: [{ dst: '10.0.0.0/8', gateway: '10.77.0.1' }] }, /"ipam.routes\[0\].gateway"/, /"/],
  ])('names an unknown key of whereabouts: %s', async (_, ipam, text, fix) => {
    await using node = await BraidNode.open();
    await node.braid(`install --bin ${node.bin} --form script`);
    const macvlan = { cniVersion: '1.1.0', name: 'net', type: 'macvlan', master: PARENT, ipam: given(node, ipam) };
    const pod = await node.pod();
    const added = await node.lab.call({ verb: 'ADD', plugin: 'macvlan', conf: macvlan, netns: pod.path });
    expect(added).toMatchObject({ exitCode: 0 }); // calls are as tolerant as Go's
    const found = await examine(node, macvlan);
    expect(found).toContainEqual({
      level: 'warning',
      text: expect.stringMatching(text),
      fix: expect.stringMatching(fix),
    });
  });

  it(
    'names keys of other plugins, and what was meant, in lists and delegates too',
    onNode(async (node) => {
      const found = await examine(
        node,
        { cniVersion: '1.1.0', name: 'a', type: 'macvlan', master: PARENT, logFile: '/x', modee: 'vepa' },
        {
          cniVersion: '1.1.0',
          name: 'b',
          disableChek: true,
          plugins: [{ type: 'sriov', deviceID: '0000:65:00.1', vlanId: 7, if0name: 'x' }],
        },
        { ...node.multus([{ name: 'c', type: 'macvlan', master: PARENT, vlan: 7 }]), name: 'c' },
      );
      const said = found.filter(({ text }) => text.includes('unknown key')).map(({ text, fix }) => [text, fix]);
      const keyed = (network: string, key: string, fix: RegExp) => [
        expect.stringMatching(new RegExp(`^network "${network}": unknown key of .*: "${key}"$`)),
        expect.stringMatching(fix),
      ];
      expect(said).toEqual([
        keyed('a', 'logFile', /remove it: it is a key of multus and sriov/),
        keyed('a', 'modee', /"mode"/),
        keyed('b', 'disableChek', /"disableCheck"/),
        keyed('b', 'if0name', /CNI_IFNAME/),
        keyed('b', 'vlanId', /"vlan"/),
        keyed('c', 'vlan', /remove it: it is a key of sriov/),
      ]);
    }),
  );

  it(
    'passes over what is not ours, and what runtimes read and fill in',
    onNode(async (node) => {
      writeFileSync(join(node.bin, 'ptp'), '', { mode: 0o755 });
      writeFileSync(join(node.bin, 'calico-ipam'), '', { mode: 0o755 });
      const own = { capabilities: { mac: true }, args: { cni: { x: 1 } }, runtimeConfig: { mac: '' }, dns: {} };
      const found = await examine(
        node,
        {
          cniVersion: '1.0.0',
          name: 'a',
          type: 'ptp',
          anything: 1,
          ipam: { type: 'calico-ipam', subnet: '10.0.0.0/8' },
        },
        {
          cniVersions: ['0.4.0', '1.0.0'],
          name: 'b',
          disableCheck: true,
          disableGC: true,
          loadOnlyInlinedPlugins: true,
          plugins: [
            { type: 'macvlan', master: PARENT, _note: 'x', ...own, ipam: { type: 'calico-ipam', subnet: 'x' } },
          ],
        },
      );
      expect(found).toEqual([]);
    }),
  );

  it.each([
    [
      { gateway: '10.77.0.1' },
      /^network "net": gateway 10.77.0.1 may be given to a pod/,
      /add "10.77.0.1" to "exclude"/,
    ],
    [{ routes: [{ dst: '0.0.0.0/0', gw: '10.77.0.9' }] }, /gateway 10.77.0.9 may be given/, /exclude/],
    [{ range: '0.0.0.0/0' }, /range 0.0.0.0\/0 spans other networks too/, /prefix/],
    [{ range: '::/0' }, /range ::\/0 spans other networks too/, /prefix/],
    [{ range_start: '10.1.0.1' }, /start 10.1.0.1 is ignored/, /bound/],
  ])('tells of %j before the first pod has it', async (ipam, text, fix) => {
    await using node = await BraidNode.open();
    await node.braid(`install --bin ${node.bin} --form script`);
    const macvlan = { cniVersion: '1.1.0', name: 'net', type: 'macvlan', master: PARENT, ipam: given(node, ipam) };
    expect(await examine(node, macvlan)).toEqual([
      { level: 'warning', text: expect.stringMatching(text), fix: expect.stringMatching(fix) },
    ]);
  });
});
