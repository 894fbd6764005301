/** What is measured: each subject does its work once, in fresh pods, and says how long the parts took. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { asHostDevice, type Conf, goNetwork, multus, ourNetwork, withResult } from './confs.ts';
import { type Lab, nicName, run } from './lab.ts';
import {
  countProcesses,
  countSystemCalls,
  type PluginCall,
  timeCall,
  timeChain,
  timeProgram,
  timeTogether,
} from './program.ts';

/** Milliseconds (or a count) by what was measured. */
export type Sample = Readonly<Record<string, number>>;
export type Subject = () => Sample | Promise<Sample>;

export interface Tools {
  readonly lab: Lab;
  /** folder of our standalone programs */
  readonly ours: string;
  /** folder of the Go plugins */
  readonly peers: string;
  /** folder of Go multus, if there is one */
  readonly multus: string | undefined;
  /** an empty single executable application */
  readonly empty: string;
  /** variables for our plugins */
  readonly env?: Readonly<Record<string, string>>;
}

export type Side = 'ours' | 'go';

export const emptyStart =
  ({ empty }: Tools): Subject =>
  () => ({ start: timeProgram([empty]).ms });

export const trueStart = (): Subject => () => ({ start: timeProgram(['/bin/true']).ms });

export const versionStart = ({ ours }: Tools): Subject => {
  const program = join(ours, 'macvlan');
  return () => ({ start: timeProgram([program], { CNI_COMMAND: 'VERSION' }).ms });
};

/** One pod, one network: macvlan alone, called by the runtime. */
export const onePod =
  (side: Side, tools: Tools): Subject =>
  () => {
    const call = networkCall(side, tools, 0, tools.lab.newPod());
    const added = timeCall(call);
    return { add: added.ms, del: timeCall(deleted(call, added.stdout)).ms };
  };

/** whereabouts by itself, with so many addresses held by others. */
export const heldStore = (tools: Tools, count: number): Subject => {
  const dataDir = join(tools.lab.folder, `held-${count}`);
  const ipam = { type: 'whereabouts', datastore: 'file', data_dir: dataDir, range: HELD_RANGE };
  const conf = { cniVersion: '1.0.0', name: 'held', type: 'macvlan', ipam };
  const exported = join(tools.lab.folder, `held-${count}.json`);
  writeFileSync(exported, exportOf(count));
  timeProgram([join(tools.ours, 'braid'), 'ipam', 'import', exported, '--data-dir', dataDir]);
  return () => {
    const call: PluginCall = {
      verb: 'ADD',
      program: join(tools.ours, 'whereabouts'),
      conf,
      path: tools.ours,
      pod: tools.lab.newPod(),
      ifName: 'net0',
    };
    const added = timeCall(call);
    const after = { ...call, conf: withResult(conf, added.stdout) };
    return {
      add: added.ms,
      check: timeCall({ ...after, verb: 'CHECK' }).ms,
      del: timeCall({ ...after, verb: 'DEL' }).ms,
    };
  };
};

const HELD_RANGE = '10.64.0.0/14';

/** As `braid ipam export` prints it. */
function exportOf(count: number): string {
  const reservations = Array.from({ length: count }, (_, index) => ({
    address: [10, 64 + Math.floor((index + 1) / 65536), Math.floor((index + 1) / 256) % 256, (index + 1) % 256].join(
      '.',
    ),
    containerId: `container-${index}`,
    interface: 'net0',
    pod: `bench/pod-${index}`,
    network: 'held',
  }));
  return JSON.stringify({ format: 1, networks: [{ networkName: '', pools: [{ range: HELD_RANGE, reservations }] }] });
}

/** host-local by itself, in a folder with so many addresses held by others: as files of the Go plugin. */
export const heldFolder = (tools: Tools, count: number): Subject => {
  const dataDir = join(tools.lab.folder, `host-local-${count}`);
  const folder = join(dataDir, 'held');
  mkdirSync(folder, { recursive: true });
  for (let index = 0; index < count; index++) {
    writeFileSync(join(folder, `10.64.${Math.floor(index / 250)}.${(index % 250) + 2}`), `container-${index}\r\nnet0`);
  }
  const ipam = { type: 'host-local', dataDir, ranges: [[{ subnet: '10.64.0.0/16' }]] };
  return () => {
    const call: PluginCall = {
      verb: 'ADD',
      program: join(tools.ours, 'host-local'),
      conf: { cniVersion: '1.0.0', name: 'held', type: 'macvlan', ipam },
      path: tools.ours,
      pod: tools.lab.newPod(),
      ifName: 'net0',
    };
    const { ms } = timeCall(call);
    return { add: ms, del: timeCall({ ...call, verb: 'DEL' }).ms };
  };
};

/** One pod, one device. Each side has a NIC of its own: what one leaves of it the other shall not meet. */
export const oneDevice =
  (side: Side, tools: Tools): Subject =>
  () => {
    const call = deviceCall(side, tools);
    const added = timeCall(call);
    return { add: added.ms, del: timeCall(deleted(call, added.stdout)).ms };
  };

/** What one ADD of a device asks the kernel for. */
export const deviceCalls =
  (side: Side, tools: Tools): Subject =>
  () => {
    const call = deviceCall(side, tools);
    const counts = countSystemCalls(call);
    timeCall({ ...call, verb: 'DEL' });
    return { ...counts };
  };

/** What the start of a program asks the kernel for. */
export const versionCalls = (tools: Tools): Subject => {
  const call = { ...deviceCall('ours', tools), verb: 'VERSION' } as const;
  return () => ({ ...countSystemCalls(call) });
};

/** One pod, networks one after another, each called by the runtime. */
export const networkChain =
  (side: Side, tools: Tools, networks: number): Subject =>
  () => {
    const pod = tools.lab.newPod();
    const calls = Array.from({ length: networks }, (_, network) => networkCall(side, tools, network, pod));
    const added = timeChain(calls);
    const last = calls.map((call, index) => deleted(call, added.stdouts[index] ?? '')).toReversed();
    return { add: added.ms, del: timeChain(last).ms };
  };

/** One pod, networks through multus. */
export const multusPod =
  (side: Side, tools: Tools, networks: number): Subject =>
  () => {
    const call = multusCall(side, tools, networks, tools.lab.newPod());
    const added = timeCall(call);
    return { add: added.ms, del: timeCall(deleted(call, added.stdout)).ms };
  };

/** Pods at once, one network each. */
export const manyPods =
  (side: Side, tools: Tools, pods: number): Subject =>
  () => {
    const calls = tools.lab.newPods(pods).map((pod) => networkCall(side, tools, 0, pod));
    const added = timeTogether(calls);
    const { ms: del } = timeTogether(calls.map((call, index) => deleted(call, added.stdouts[index] ?? '')));
    return { add: added.ms, del };
  };

/** Pods at once, several networks each, through multus. */
export const manyMultusPods =
  (side: Side, tools: Tools, pods: number, networks: number): Subject =>
  () => {
    const calls = tools.lab.newPods(pods).map((pod) => multusCall(side, tools, networks, pod));
    const added = timeTogether(calls);
    const { ms: del } = timeTogether(calls.map((call, index) => deleted(call, added.stdouts[index] ?? '')));
    return { add: added.ms, del };
  };

/** One more pod, and a question whether all is well, while so many pods are added. */
export const busyNode =
  (side: Side, tools: Tools, pods: number, networks: number): Subject =>
  () => {
    const calls = tools.lab.newPods(pods + 1).map((pod) => multusCall(side, tools, networks, pod));
    const [one] = calls as [PluginCall, ...PluginCall[]];
    const asking: PluginCall = { ...one, verb: 'STATUS', conf: { ...one.conf, cniVersion: '1.1.0' } };
    const { times, stdouts } = timeTogether([...calls, asking]);
    timeTogether(calls.map((call, index) => deleted(call, stdouts[index] ?? '')));
    return { slowest: Math.max(...times.slice(0, -1)), status: times.at(-1) ?? Number.NaN };
  };

/** How many processes one call of multus starts. */
export const multusProcesses =
  (side: Side, tools: Tools, networks: number): Subject =>
  () => {
    const call = multusCall(side, tools, networks, tools.lab.newPod());
    const count = countProcesses(call);
    timeCall({ ...call, verb: 'DEL' });
    return { processes: count };
  };

export function networkCall(side: Side, tools: Tools, network: number, pod: string): PluginCall {
  const { lab, ours, peers, env = {} } = tools;
  lab.wantNics(network + 1);
  const path = side === 'ours' ? ours : peers;
  const conf = side === 'ours' ? ourNetwork(network, lab.folder) : goNetwork(network, lab.folder);
  return { verb: 'ADD', program: join(path, 'macvlan'), conf, path, pod, ifName: `net${network}`, env };
}

function deviceCall(side: Side, tools: Tools): PluginCall {
  const nic = side === 'ours' ? 0 : 1;
  const call = networkCall(side, tools, nic, tools.lab.newPod());
  run(['ip', 'link', 'set', nicName(nic), 'up']); // the Go plugin leaves it down
  return { ...call, program: join(call.path, 'host-device'), conf: asHostDevice(call.conf, tools.lab.folder) };
}

export function multusCall(side: Side, tools: Tools, networks: number, pod: string): PluginCall {
  const { lab, ours, peers, env = {} } = tools;
  lab.wantNics(networks);
  const path = side === 'ours' ? ours : peers;
  const network = side === 'ours' ? ourNetwork : goNetwork;
  const delegates: readonly Conf[] = Array.from({ length: networks }, (_, index) => network(index, lab.folder));
  const program = join(side === 'ours' ? ours : (tools.multus ?? ''), 'multus');
  const conf = multus(delegates, path, join(lab.folder, `multus-${side}`));
  return { verb: 'ADD', program, conf, path, pod, ifName: 'eth0', env };
}

export const deleted = (call: PluginCall, stdout: string): PluginCall => ({
  ...call,
  verb: 'DEL',
  conf: withResult(call.conf, stdout),
});
