/** multus for pods of a cluster, beside the Go one: the same annotations, definitions and delegates for both. */
import { mkdirSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fake } from '../lab/fakes.ts';
import { GO, OURS, type Side } from '../lab/programs.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { applyNads } from './manifests.ts';
import { type ClusterPod, type Configured, MultusLab, NETWORKS_KEY } from './multus-lab.ts';

let cluster: Cluster;
let lab: MultusLab;

beforeAll(async () => {
  cluster = await startCluster();
  await applyNads(cluster);
  lab = await MultusLab.open(cluster, cluster.kubeconfig('multus'));
  for (const [name, result] of Object.entries(RESULTS)) {
    fake(lab.lab, name, `${NOTE}\n[ "$CNI_COMMAND" = ADD ] && cat <<END || true\n${JSON.stringify(result)}\nEND`);
  }
  for (const [name, config] of Object.entries(DEFINITIONS)) {
    await lab.define(name, config);
  }
});

afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
});

/** What each delegate was called with, by side. The path of plugins differs, and nothing else may. */
const NOTE = `{ echo "== $CNI_COMMAND $CNI_IFNAME $CNI_ARGS"; cat; echo; } >> "$NOTES"`;

const link = { name: '$CNI_IFNAME', sandbox: '$CNI_NETNS', mac: '02:00:00:00:00:07', mtu: 1400 };

/** In the shell that prints them, variables stand for what differs between calls. */
const RESULTS = {
  plain: {
    cniVersion: '1.1.0',
    interfaces: [link],
    ips: [{ address: '192.0.2.7/24', gateway: '192.0.2.1', interface: 0 }],
    routes: [{ dst: '0.0.0.0/0', gw: '192.0.2.1' }],
    dns: { nameservers: ['192.0.2.53'], search: ['<a&b>'] },
  },
  dual: {
    cniVersion: '1.0.0',
    interfaces: [link],
    ips: [
      { address: '192.0.2.8/24', interface: 0 },
      { address: 'fd00::8/64', gateway: 'fd00::1' },
    ],
    routes: [{ dst: '::/0', gw: 'fd00::1' }, { dst: '198.51.100.0/24' }],
  },
  several: {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'host', mac: '02:00:00:00:00:01' }, link, { ...link, name: 'second' }],
    ips: [
      { address: '192.0.2.9/24', interface: 1 },
      { address: '192.0.2.10/24', interface: 2, gateway: '192.0.2.1' },
      { address: '192.0.2.11/24' },
    ],
  },
  without: { cniVersion: '1.0.0' },
  outside: { cniVersion: '1.0.0', interfaces: [{ name: 'cali0' }], ips: [{ address: '192.0.2.12/32' }] },
  chained: {
    cniVersion: '1.1.0',
    interfaces: [link],
    ips: [{ address: '192.0.2.13/24' }],
  },
} as const;

const capable = { ips: true, mac: true, portMappings: true, bandwidth: true, infinibandGUID: true };

const DEFINITIONS: Readonly<Record<string, object | string>> = {
  plain: '{ "cniVersion": "1.1.0",  "name": "plain-net", "type": "plain" }',
  dual: { cniVersion: '1.0.0', type: 'dual', capabilities: capable },
  several: { cniVersion: '1.1.0', name: 'several', type: 'several' },
  without: { cniVersion: '1.0.0', name: '', type: 'without' },
  outside: { cniVersion: '1.0.0', type: 'outside' },
  list: {
    cniVersion: '1.1.0',
    plugins: [
      { type: 'plain', more: { b: 1, a: '<&>' } },
      { type: 'chained', capabilities: capable },
    ],
  },
};

interface Case {
  readonly title: string;
  readonly conf?: Configured;
  readonly annotations?: Readonly<Record<string, string>>;
}

const OWN: Configured = { delegates: [{ cniVersion: '1.1.0', name: 'own', type: 'plain' }] };
const inJson = (...elements: readonly object[]) => ({ [NETWORKS_KEY]: JSON.stringify(elements) });

const CASES: readonly Case[] = [
  { title: 'no annotation' },
  { title: 'an empty annotation', annotations: { [NETWORKS_KEY]: '' } },
  { title: 'the short form', annotations: { [NETWORKS_KEY]: 'plain, default/dual@dual0 ,several' } },
  { title: 'one network twice', annotations: { [NETWORKS_KEY]: 'plain,plain' } },
  { title: 'an empty list', annotations: { [NETWORKS_KEY]: '[]' } },
  {
    title: 'everything that can be asked for',
    annotations: inJson({
      name: 'dual',
      interface: 'x0',
      mac: '02:00:00:00:00:09',
      ips: ['192.0.2.99/24', 'fd00::99'],
      'infiniband-guid': '02:00:00:00:00:00:00:09',
      portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
      bandwidth: { ingressRate: 1000, ingressBurst: 1000 },
      'cni-args': { key: 'value', deep: { a: [1] } },
    }),
  },
  { title: 'results without interfaces, and of links outside', annotations: { [NETWORKS_KEY]: 'without,outside' } },
  { title: 'a list', annotations: inJson({ name: 'list', mac: '02-00-00-00-00-0a', 'cni-args': { x: 1 } }) },
  {
    title: 'another default network',
    annotations: { 'v1.multus-cni.io/default-network': 'default/several@ext0', [NETWORKS_KEY]: 'plain' },
  },
  {
    title: 'a cluster network by name, and default networks',
    conf: {
      cniVersion: '1.0.0',
      clusterNetwork: 'dual',
      defaultNetworks: ['list', 'without'],
      multusNamespace: 'default',
    },
    annotations: { [NETWORKS_KEY]: 'plain' },
  },
  {
    title: 'another default network in place of the cluster network',
    conf: { cniVersion: '1.1.0', clusterNetwork: 'dual', defaultNetworks: ['list'], multusNamespace: 'default' },
    annotations: { 'v1.multus-cni.io/default-network': 'several', [NETWORKS_KEY]: 'plain' },
  },
  {
    title: 'namespaces of the system',
    conf: {
      cniVersion: '1.0.0',
      clusterNetwork: 'dual',
      defaultNetworks: ['list'],
      multusNamespace: 'default',
      systemNamespaces: ['default'],
    },
  },
  {
    title: 'two delegates, the second a list',
    conf: {
      cniVersion: '1.0.0',
      delegates: [
        { cniVersion: '1.0.0', name: 'old', type: 'outside' },
        { cniVersion: '1.1.0', name: 'both', plugins: [{ type: 'plain' }, { type: 'chained' }] },
      ],
    },
    annotations: { [NETWORKS_KEY]: 'dual' },
  },
];

interface Seen {
  readonly exitCodes: readonly number[];
  readonly stdout: string;
  readonly status: string | undefined;
  readonly events: readonly string[];
  readonly notes: string;
  readonly records: Readonly<Record<string, string>>;
  readonly after: readonly string[];
}

/** One pod by one side: ADD, what it has made, DEL. */
async function seenBy(side: Side, { conf = OWN, annotations = {} }: Case): Promise<Seen> {
  const pod = await lab.pod(annotations);
  const notes = `${lab.lab.dir}/notes-${pod.name}`;
  const calling = { side, env: { NOTES: notes } };
  const added = await lab.call('ADD', pod, conf, calling);
  const [records, status, events] = [lab.records(), await lab.status(pod), await lab.events(pod)];
  const deleted = await lab.call('DEL', pod, conf, calling);
  const { readFileSync } = await import('node:fs');
  const common = (text: string): string => commonForm(text, pod);
  return {
    exitCodes: [added.exitCode ?? -1, deleted.exitCode ?? -1],
    stdout: common(added.stdout),
    status: status && common(status),
    events: events.map(common),
    notes: common(readFileSync(notes, 'utf8')),
    records: Object.fromEntries(Object.entries(records).map(([name, content]) => [common(name), common(content)])),
    after: Object.keys(lab.records()).filter((name) => !name.endsWith('/')),
  };
}

/** What is different for each pod. */
const commonForm = (text: string, { name, uid, containerId, netns }: ClusterPod): string =>
  [containerId, netns.path, netns.name, name, uid]
    .reduce((all, word, index) => all.replaceAll(word, `<${index}>`), text)
    .replaceAll(ONE_SIDED, '')
    .replaceAll(/== DEL .*\n.*/g, (call) => call.replace(KEPT_FOR_DEL, ''));

/** What plugins were offered that only the record of ours has. */
const KEPT_FOR_DEL = /"bandwidth":\{[^}]*\},|,"portMappings":\[[^\]]*\](?=\},"type")/g;

/** Keys of scratch files that only one side has, and the other one passes over. */
const ONE_SIDED = /"CNINetworkConfigList":\{"Name":"".*?"Bytes":null\},|,"braid":\{"netns".*?\},"ifName":.*?\}/g;

describe.each(CASES)('$title', (one) => {
  it('gives the same as the Go plugin', async () => {
    const go = await seenBy(GO, one);
    rmSync(lab.cniDir, { recursive: true, force: true });
    mkdirSync(lab.cniDir);
    const ours = await seenBy(OURS, one);
    expect(go.exitCodes).toEqual([0, 0]);
    expect({ ...ours, events: [] }).toEqual({ ...go, events: [] });
    expect(ours.events).toEqual(expect.arrayContaining([...go.events])); // it may lose some when it ends
    const results = Object.values(ours.records).filter((record) => /"(interfaces|ips)":\[/.test(record));
    expect(ours.events).toHaveLength(results.length);
  });
});
