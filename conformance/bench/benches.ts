/** The benches: which subjects take turns, and which of their figures are reported beside which target. */
import type { Bench } from './bench.ts';
import { chain, chainStarts, warmChain } from './chain.ts';
import { containerd } from './containerd.ts';
import {
  residentBusy,
  residentDevice,
  residentMacvlan,
  residentManyNetworks,
  residentMultus,
  residentPods,
  residentStart,
} from './resident.ts';
import type { Tools } from './subjects.ts';
import * as subjects from './subjects.ts';
import { warmLoop, warmManyPods, warmPod, warmSinglePods } from './warm-benches.ts';

export interface BenchEntry {
  readonly name: string;
  /** runs only when it is named, by this or by its own name */
  readonly group?: string;
  make(tools: Tools): Bench | Promise<Bench>;
}

export const BENCHES: readonly BenchEntry[] = [
  { name: 'start', make: start },
  { name: 'macvlan', make: macvlan },
  { name: 'held', make: held },
  { name: 'held-host-local', make: heldHostLocal },
  { name: 'host-device', make: hostDevice },
  { name: 'host-device-calls', make: hostDeviceCalls },
  { name: 'kernel', make: kernel },
  { name: 'multus-8', make: (tools) => multus(tools, 8, { add: 0.8, del: 0.4 }) },
  { name: 'multus-16', make: (tools) => multus(tools, 16, { add: 0.5, del: 0.2 }) },
  { name: 'pods-32', make: manyPods },
  { name: 'processes', make: processes },
  { name: 'chain', make: (tools) => chain(tools, 8) },
  { name: 'chain-processes', make: (tools) => chainStarts(tools, 8) },
  { name: 'warm-1', group: 'warm', make: (tools) => warmPod(tools, 1) },
  { name: 'warm-8', group: 'warm', make: (tools) => warmPod(tools, 8) },
  { name: 'warm-16', group: 'warm', make: (tools) => warmPod(tools, 16, { add: 0.06 }) },
  { name: 'warm-pods-32', group: 'warm', make: warmSinglePods },
  { name: 'warm-pods-32x8', group: 'warm', make: (tools) => warmManyPods(tools, 32, 8, 0.25) },
  {
    name: 'warm-pods-128x16',
    group: 'warm',
    make: (tools) => warmManyPods(tools, 128, 16, 0.1, { add: 1500, del: 500 }),
  },
  { name: 'warm-chain', group: 'warm', make: (tools) => warmChain(tools, 8) },
  { name: 'warm-loop', group: 'warm', make: warmLoop },
  { name: 'resident-start', group: 'resident', make: residentStart },
  { name: 'resident-macvlan', group: 'resident', make: residentMacvlan },
  { name: 'resident-multus-16', group: 'resident', make: (tools) => residentMultus(tools, 16) },
  { name: 'resident-pods-32', group: 'resident', make: (tools) => residentPods(tools, 32) },
  { name: 'resident-pods-32x8', group: 'resident', make: (tools) => residentManyNetworks(tools, 32, 8) },
  {
    name: 'resident-pods-128x16',
    group: 'resident',
    make: (tools) => residentManyNetworks(tools, 128, 16, { add: 1000 }),
  },
  { name: 'resident-host-device', group: 'resident', make: residentDevice },
  { name: 'resident-busy', group: 'resident', make: residentBusy },
  { name: 'cluster-128x16', group: 'cluster', make: clusterPods },
  { name: 'cluster-slices', group: 'cluster', make: clusterSlices },
  { name: 'cluster-warm', group: 'cluster', make: clusterWarm },
  { name: 'cluster-peer', group: 'cluster', make: clusterPeer },
  { name: 'cluster-held', group: 'cluster', make: clusterHeld },
  { name: 'cluster-multus', group: 'cluster', make: clusterPodNetworks },
  { name: 'pod-start', group: 'kubernetes', make: podStart },
  ...[1, 3, 8].map((networks) => ({
    name: `containerd-${networks}`,
    group: 'containerd',
    make: (tools: Tools) => containerd(tools, networks),
  })),
];

/** Those that a word on the command line names; without words, all but the groups. */
export const benchesNamed = (words: readonly string[]): readonly BenchEntry[] =>
  BENCHES.filter(({ name, group }) =>
    words.length === 0 ? group === undefined : words.includes(name) || (group !== undefined && words.includes(group)),
  );

function start(tools: Tools): Bench {
  return {
    name: 'start',
    about: 'the standalone program asked for its version ÷ an empty single executable application',
    subjects: { program: subjects.versionStart(tools), empty: subjects.emptyStart(tools), true: subjects.trueStart() },
    lines: [
      {
        title: 'VERSION ÷ empty',
        ours: ['program', 'start'],
        peer: ['empty', 'start'],
        how: 'ratio',
        unit: 'ms',
        target: 1.25,
      },
      { title: "/bin/true (the runner's own part)", ours: ['true', 'start'], how: 'value', unit: 'ms' },
    ],
  };
}

function macvlan(tools: Tools): Bench {
  const pair = { ours: ['braid', 'add'], peer: ['go', 'add'], how: 'ratio', unit: 'ms' } as const;
  return {
    name: 'macvlan',
    about: 'macvlan + whereabouts, beside an empty start and beside Go macvlan + host-local',
    subjects: {
      braid: subjects.onePod('ours', tools),
      empty: subjects.emptyStart(tools),
      go: subjects.onePod('go', tools),
    },
    lines: [
      { ...pair, title: 'ADD − empty start', peer: ['empty', 'start'], how: 'difference', target: 12 },
      { ...pair, title: 'ADD ÷ Go' },
      { ...pair, title: 'DEL ÷ Go', ours: ['braid', 'del'], peer: ['go', 'del'] },
    ],
  };
}

function held(tools: Tools): Bench {
  const [few, many] = [10, 60_000];
  return {
    name: 'held',
    about: `whereabouts with ${many} addresses held ÷ with ${few}, whole processes`,
    subjects: { many: subjects.heldStore(tools, many), few: subjects.heldStore(tools, few) },
    lines: (['add', 'check', 'del'] as const).map((verb) => ({
      title: `${verb.toUpperCase()}, ${many} ÷ ${few} held`,
      ours: ['many', verb],
      peer: ['few', verb],
      how: 'ratio',
      unit: 'ms',
      target: 1.1,
    })),
  };
}

function heldHostLocal(tools: Tools): Bench {
  const [few, many] = [10, 1000];
  return {
    name: 'held-host-local',
    about: `host-local with ${many} addresses held ÷ with ${few}, whole processes`,
    subjects: { many: subjects.heldFolder(tools, many), few: subjects.heldFolder(tools, few) },
    lines: (['add', 'del'] as const).map((verb) => ({
      title: `${verb.toUpperCase()}, ${many} ÷ ${few} held`,
      ours: ['many', verb],
      peer: ['few', verb],
      how: 'ratio',
      unit: 'ms',
      target: 1.1,
    })),
  };
}

function hostDevice(tools: Tools): Bench {
  return {
    name: 'host-device',
    about: 'host-device + whereabouts ÷ Go host-device + host-local; the device is a veth',
    subjects: { braid: subjects.oneDevice('ours', tools), go: subjects.oneDevice('go', tools) },
    lines: (['add', 'del'] as const).map((verb) => ({
      title: `${verb.toUpperCase()} ÷ Go`,
      ours: ['braid', verb],
      peer: ['go', verb],
      how: 'ratio',
      unit: 'ms',
    })),
  };
}

function hostDeviceCalls(tools: Tools): Bench {
  return {
    name: 'host-device-calls',
    about: 'what one ADD of host-device asks the kernel for, start and IPAM plugin included, as strace sees it',
    subjects: {
      braid: subjects.deviceCalls('ours', tools),
      go: subjects.deviceCalls('go', tools),
      start: subjects.versionCalls(tools),
    },
    lines: [
      { title: 'system calls', ours: ['braid', 'calls'], peer: ['go', 'calls'], how: 'value', unit: 'calls' },
      {
        title: 'system calls less the start',
        ours: ['braid', 'calls'],
        peer: ['start', 'calls'],
        how: 'difference',
        unit: 'calls',
      },
      {
        title: 'netlink requests',
        ours: ['braid', 'requests'],
        peer: ['go', 'requests'],
        how: 'value',
        unit: 'requests',
      },
    ],
    warmUp: 0,
    part: 0.05,
  };
}

async function kernel(tools: Tools): Promise<Bench> {
  const { kernelWork } = await import('./kernel-work.ts');
  return {
    name: 'kernel',
    about: 'the kernel work of one macvlan ADD, inside a process that has done it before',
    subjects: { work: kernelWork(tools) },
    lines: [
      { title: 'ADD', ours: ['work', 'add'], how: 'value', unit: 'ms', target: 1.5 },
      { title: 'DEL', ours: ['work', 'del'], how: 'value', unit: 'ms' },
    ],
    warmUp: 20,
  };
}

async function podStart(tools: Tools): Promise<Bench> {
  return (await import('./pod-start.ts')).podStart(tools);
}

async function clusterPods(tools: Tools): Promise<Bench> {
  return (await import('./cluster.ts')).clusterStorm(tools, { pods: 128, networks: 16 }, 70_000);
}

async function clusterSlices(tools: Tools): Promise<Bench> {
  return (await import('./cluster.ts')).clusterSlices(tools, { pods: 128, networks: 16 }, 25_000);
}

async function clusterWarm(tools: Tools): Promise<Bench> {
  return (await import('./cluster.ts')).clusterWarm(tools, { pods: 128, networks: 16 }, 6_000);
}

async function clusterPeer(tools: Tools): Promise<Bench> {
  return (await import('./cluster.ts')).clusterPeer(tools, { pods: 32, networks: 4 });
}

async function clusterHeld(tools: Tools): Promise<Bench> {
  return (await import('./cluster.ts')).clusterHeld(tools, 4000);
}

function multus(tools: Tools, networks: number, targets: { readonly add: number; readonly del: number }): Bench {
  const goMultus = tools.multus === undefined ? {} : { 'go multus': subjects.multusPod('go', tools, networks) };
  const verbs = ['add', 'del'] as const;
  const line = (verb: 'add' | 'del', peer: string) =>
    ({ ours: ['braid', verb], peer: [peer, verb], how: 'ratio', unit: 'ms' }) as const;
  return {
    name: `multus-${networks}`,
    about: `multus with ${networks} macvlan + whereabouts ÷ ${networks} calls of Go macvlan + host-local, and ÷ Go multus with these`,
    subjects: {
      braid: subjects.multusPod('ours', tools, networks),
      go: subjects.networkChain('go', tools, networks),
      ...goMultus,
    },
    lines: [
      ...verbs.map((verb) => ({
        ...line(verb, 'go'),
        title: `${verb.toUpperCase()} ÷ ${networks} × Go`,
        target: targets[verb],
      })),
      ...(tools.multus === undefined
        ? []
        : verbs.map((verb) => ({ ...line(verb, 'go multus'), title: `${verb.toUpperCase()} ÷ Go multus` }))),
    ],
  };
}

function manyPods(tools: Tools): Bench {
  const pods = 32;
  return {
    name: `pods-${pods}`,
    about: `${pods} pods at once, one network each: until the last is done`,
    subjects: { braid: subjects.manyPods('ours', tools, pods), go: subjects.manyPods('go', tools, pods) },
    lines: (['add', 'del'] as const).map((verb) => ({
      title: `${pods} × ${verb.toUpperCase()} ÷ Go`,
      ours: ['braid', verb],
      peer: ['go', verb],
      how: 'ratio',
      unit: 'ms',
    })),
    part: 0.25,
  };
}

function processes(tools: Tools): Bench {
  const networks = 8;
  const goMultus = tools.multus === undefined ? {} : { go: subjects.multusProcesses('go', tools, networks) };
  return {
    name: 'processes',
    about: `processes of one multus ADD with ${networks} networks, as strace sees them`,
    subjects: { braid: subjects.multusProcesses('ours', tools, networks), ...goMultus },
    lines: [
      {
        title: `processes for ${networks} networks`,
        ours: ['braid', 'processes'],
        ...(tools.multus === undefined ? {} : { peer: ['go', 'processes'] }),
        how: 'value',
        unit: 'processes',
        target: 1,
      },
    ],
    warmUp: 0,
    part: 0.05,
  };
}

async function clusterPodNetworks(tools: Tools): Promise<Bench> {
  return (await import('./cluster-multus.ts')).clusterMultus(tools, 8, 0.25);
}
