/** What multus leaves of an ADD for others: the pod's annotation, its events, its default routes. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answer, fake } from '../lab/fakes.ts';
import { PARENT } from '../lab/lab.ts';
import { errorOf } from '../lab/printed.ts';
import { fakeSysfs, PCI_ADDRESS, PCI_FOLDER, pciDevice } from '../lab/sysfs.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { applyNads } from './manifests.ts';
import { type ClusterPod, MultusLab, NETWORKS_KEY } from './multus-lab.ts';

let cluster: Cluster;
let lab: MultusLab;

/** Networks with a default route of either family each, as IPAM plugins give them. */
const NETWORKS = [1, 2, 3];

const ipamOf = (number: number) => ({
  cniVersion: '1.0.0',
  ips: [
    { address: `10.${number}.0.5/24`, gateway: `10.${number}.0.1` },
    { address: `fd00:${number}::5/64`, gateway: `fd00:${number}::1` },
  ],
  routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }, { dst: `198.51.10${number}.0/24`, gw: `10.${number}.0.9` }],
});

const networkOf = (number: number) => ({
  cniVersion: '1.1.0',
  name: `n${number}`,
  type: 'macvlan',
  master: PARENT,
  ipam: { type: `ipam-${number}` },
});

const OWN = { delegates: [networkOf(1)] };
const OK = { exitCode: 0, signal: undefined };

beforeAll(async () => {
  cluster = await startCluster();
  await applyNads(cluster);
  lab = await MultusLab.open(cluster, cluster.kubeconfig('multus'));
  for (const number of NETWORKS) {
    fake(lab.lab, `ipam-${number}`, answer(ipamOf(number)));
    await lab.define(`lan${number}`, networkOf(number));
  }
});

afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
});

interface KernelRoute {
  readonly gateway?: string;
  readonly dev?: string;
  readonly nexthops?: readonly { readonly gateway: string; readonly dev: string }[];
}

/** `10.1.0.1 eth0` of each way out that a pod has. */
async function defaultsIn({ netns }: ClusterPod): Promise<readonly string[]> {
  const texts = await Promise.all(
    ['-4', '-6'].map((family) => lab.lab.ip(netns.name, `-j ${family} route show default`)),
  );
  return texts
    .flatMap((text) => JSON.parse(text || '[]') as KernelRoute[])
    .flatMap(({ gateway = '', dev = '', nexthops = [{ gateway, dev }] }) =>
      nexthops.map((hop) => `${hop.gateway} ${hop.dev}`),
    )
    .sort();
}

/** The same as its records tell it. */
const recordedDefaults = (): readonly string[] =>
  Object.entries(lab.records())
    .filter(([name]) => name.startsWith('results/') && !name.endsWith('/'))
    .flatMap(([, text]) => {
      const { ifName, result } = JSON.parse(text.slice(text.indexOf('{'))) as {
        readonly ifName: string;
        readonly result: { readonly routes?: readonly { readonly dst: string; readonly gw: string }[] };
      };
      return (result.routes ?? []).filter(({ dst }) => dst.endsWith('/0')).map(({ gw }) => `${gw} ${ifName}`);
    })
    .sort();

const wanting = (...lists: readonly (readonly string[] | undefined)[]) => ({
  [NETWORKS_KEY]: JSON.stringify(
    lists.map((list, index) => ({ name: `lan${index + 2}`, ...(list === undefined ? {} : { 'default-route': list }) })),
  ),
});

describe('default routes that a pod asks for', () => {
  it.each([
    ['IPv4', [['10.2.0.7']], ['10.2.0.7 net1']],
    ['IPv6', [['fd00:2::7']], ['fd00:2::7 net1']],
    ['both', [['10.2.0.7', 'fd00:2::7'], undefined], ['10.2.0.7 net1', 'fd00:2::7 net1']],
    ['one of each network', [['10.2.0.7'], ['fd00:3::7']], ['10.2.0.7 net1', 'fd00:3::7 net2']],
    ['none', [[], undefined], []],
  ] as const)(
    'are all that it has, in the kernel and in the records: %s',
    { tags: ['multus/default-route'] },
    async (_, lists, expected) => {
      const pod = await lab.pod(wanting(...lists));
      expect(await lab.call('ADD', pod, OWN)).toMatchObject(OK);
      expect(await defaultsIn(pod)).toEqual(expected);
      expect(recordedDefaults()).toEqual(expected);
      expect(await lab.call('CHECK', pod, OWN)).toMatchObject(OK);
      expect(await lab.call('DEL', pod, OWN)).toMatchObject(OK);
      expect(await defaultsIn(pod)).toEqual([]);
    },
  );

  it('are those of the first network where it asks for none', async () => {
    const pod = await lab.pod(wanting(undefined));
    expect(await lab.call('ADD', pod, OWN)).toMatchObject(OK);
    expect(await defaultsIn(pod)).toContain('10.1.0.1 eth0');
    expect(await lab.call('DEL', pod, OWN)).toMatchObject(OK);
  });

  it('are refused before anything is attached where there are too many', async () => {
    const pod = await lab.pod(wanting(['10.2.0.7'], ['10.3.0.7']));
    const { message } = errorOf(await lab.call('ADD', pod, OWN));
    expect(message).toContain('multus does not support ECMP for default-route');
    expect(await lab.lab.ip(pod.netns.name, '-br link')).not.toContain('eth0');
  });

  it('take the ADD back when nobody can be reached by them', async () => {
    const pod = await lab.pod(wanting(['203.0.113.1']));
    const { message } = errorOf(await lab.call('ADD', pod, OWN));
    expect(message).toContain('cannot add route 0.0.0.0/0 via 203.0.113.1 dev net1: ENETUNREACH');
    expect(await lab.lab.ip(pod.netns.name, '-br link')).not.toContain('eth0');
    expect(await lab.status(pod)).toBeUndefined();
  });
});

describe('the annotation of a pod', () => {
  it('is written for that pod only, however many networks it has, and events with it', async () => {
    const count = 15;
    const pod = await lab.pod({ [NETWORKS_KEY]: new Array(count).fill('lan2').join(',') });
    expect(await lab.call('ADD', pod, OWN)).toMatchObject({ ...OK, stderr: '' });
    const status = JSON.parse((await lab.status(pod)) ?? '') as readonly { readonly interface: string }[];
    expect(status.map((one) => one.interface)).toEqual([
      'eth0',
      ...Array.from({ length: count }, (_, n) => `net${n + 1}`),
    ]);
    const events = await lab.events(pod);
    expect(events).toHaveLength(10);
    expect(events).toContain('Normal AddedInterface Add eth0 [10.1.0.5/24 fd00:1::5/64] from n1');
    expect(events.join()).toContain(`Add net${count} [10.2.0.5/24 fd00:2::5/64] from default/lan2`);
    expect(await lab.call('DEL', pod, OWN)).toMatchObject(OK);
  });

  it('tells of RDMA devices when it is asked to', async () => {
    const sysfs = fakeSysfs(
      lab.lab,
      pciDevice({ [`${PCI_FOLDER}/infiniband/mlx5_9`]: '', 'class/infiniband/mlx5_9/ports/1/gid_attrs': '' }),
    );
    const port = join(sysfs, 'class/infiniband/mlx5_9/ports/1');
    for (const [path, text] of [
      ['link_layer', 'Ethernet'],
      ['gids/3', '0000:0000:0000:0000:0000:ffff:0a02:0005'],
      ['gid_attrs/types/3', 'RoCE v2'],
      ['gid_attrs/ndevs/3', 'net1'],
    ] as const) {
      mkdirSync(dirname(join(port, path)), { recursive: true });
      writeFileSync(join(port, path), `${text}\n`);
    }
    const link = { name: '$CNI_IFNAME', sandbox: '$CNI_NETNS', pciID: PCI_ADDRESS };
    const result = JSON.stringify({ cniVersion: '1.1.0', interfaces: [link], ips: [{ address: '10.2.0.5/24' }] });
    fake(lab.lab, 'vf', `[ "$CNI_COMMAND" = ADD ] && cat <<END || true\n${result}\nEND`);
    await lab.define('rail', { cniVersion: '1.1.0', type: 'vf' });
    const pod = await lab.pod({ [NETWORKS_KEY]: 'rail' });
    expect(await lab.call('ADD', pod, OWN, { sysfs, more: { statusRdma: true } })).toMatchObject(OK);
    expect(JSON.parse((await lab.status(pod)) ?? '')).toMatchObject([
      { name: 'n1', interface: 'eth0' },
      { name: 'default/rail', interface: 'net1', rdma: { device: 'mlx5_9', port: 1, 'gid-index': 3 } },
    ]);
    expect(await lab.call('DEL', pod, OWN)).toMatchObject(OK);
  });
});
