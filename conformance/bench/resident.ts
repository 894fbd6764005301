/** Launchers and an agent, beside the standalone programs and the Go plugins. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, Line } from './bench.ts';
import { labName, scratchOf } from './lab.ts';
import { timeProgram } from './program.ts';
import {
  busyNode,
  manyMultusPods,
  manyPods,
  multusPod,
  oneDevice,
  onePod,
  type Subject,
  type Tools,
  trueStart,
} from './subjects.ts';

/** The same plugins, called through launchers. */
interface Resident {
  readonly tools: Tools;
  readonly close: () => Promise<void>;
}

async function startAgent(tools: Tools): Promise<Resident> {
  const folder = join(scratchOf(labName() ?? ''), 'agent');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const socket = join(folder, 'agent.sock');
  const path = join(folder, 'log');
  const log = openSync(path, 'w'); // nobody reads a pipe while this runner waits for a program
  const agent = spawn(join(tools.ours, 'braid'), ['agent', '--socket', socket], { stdio: ['ignore', 'ignore', log] });
  closeSync(log);
  while (!readFileSync(path, 'utf8').includes('takes calls')) {
    if (agent.exitCode !== null) {
      throw new Error(`the agent has ended: ${readFileSync(path, 'utf8')}`);
    }
    await sleep(10);
  }
  const ours = join(dirname(tools.ours), 'resident');
  return {
    tools: { ...tools, ours, env: { BRAID_AGENT: socket } },
    close: async () => {
      const ended = new Promise((resolve) => agent.once('exit', resolve));
      agent.kill();
      await ended;
    },
  };
}

const launcherVersion =
  ({ ours }: Tools): Subject =>
  () => ({ start: timeProgram([join(ours, 'macvlan')], { CNI_COMMAND: 'VERSION' }).ms });

const versus = (peer: string, targets: { readonly add?: number; readonly del?: number } = {}): readonly Line[] =>
  (['add', 'del'] as const).map((verb) => ({
    title: `${verb.toUpperCase()}, resident ÷ ${peer}`,
    ours: ['resident', verb],
    peer: [peer, verb],
    how: 'ratio',
    unit: 'ms',
    ...(targets[verb] === undefined ? {} : { target: targets[verb] }),
  }));

/** VERSION, which the launcher answers itself. */
export async function residentStart(tools: Tools): Promise<Bench> {
  const { tools: resident, close } = await startAgent(tools);
  return {
    name: 'resident-start',
    about: 'VERSION of a launcher, beside /bin/true',
    subjects: { launcher: launcherVersion(resident), true: trueStart() },
    lines: [
      {
        title: 'VERSION − /bin/true',
        ours: ['launcher', 'start'],
        peer: ['true', 'start'],
        how: 'difference',
        unit: 'ms',
        target: 1,
      },
    ],
    close,
  };
}

/** One pod with one network. */
export async function residentMacvlan(tools: Tools): Promise<Bench> {
  const { tools: resident, close } = await startAgent(tools);
  return {
    name: 'resident-macvlan',
    about:
      'macvlan + whereabouts through launcher and agent, beside Go macvlan + host-local and the standalone program',
    subjects: { resident: onePod('ours', resident), standalone: onePod('ours', tools), go: onePod('go', tools) },
    lines: [...versus('go', { add: 0.3 }), ...versus('standalone')],
    close,
  };
}

/** One pod with so many networks of multus. */
export async function residentMultus(tools: Tools, networks: number): Promise<Bench> {
  const { tools: resident, close } = await startAgent(tools);
  const go = tools.multus === undefined ? {} : { go: multusPod('go', tools, networks) };
  return {
    name: `resident-multus-${networks}`,
    about: `multus × ${networks} macvlan networks through launcher and agent`,
    subjects: {
      resident: multusPod('ours', resident, networks),
      standalone: multusPod('ours', tools, networks),
      ...go,
    },
    lines: [...('go' in go ? versus('go', { add: 0.035, del: 0.08 }) : []), ...versus('standalone')],
    part: 0.5,
    close,
  };
}

/** So many pods at once, one network each. */
export async function residentPods(tools: Tools, pods: number): Promise<Bench> {
  const { tools: resident, close } = await startAgent(tools);
  return {
    name: `resident-pods-${pods}`,
    about: `${pods} pods at once, one macvlan network each, through launchers and agent`,
    subjects: { resident: manyPods('ours', resident, pods), go: manyPods('go', tools, pods) },
    lines: versus('go', { add: 0.4, del: 0.3 }),
    part: 0.3,
    close,
  };
}

/** So many pods at once, so many networks each. */
export async function residentManyNetworks(
  tools: Tools,
  pods: number,
  networks: number,
  most: { readonly add?: number } = {},
): Promise<Bench> {
  const { tools: resident, close } = await startAgent(tools);
  const go = tools.multus === undefined ? {} : { go: manyMultusPods('go', tools, pods, networks) };
  const done =
    most.add === undefined
      ? []
      : [{ title: 'ADD', ours: ['resident', 'add'], how: 'value', unit: 'ms', target: most.add } as const];
  return {
    name: `resident-pods-${pods}x${networks}`,
    about: `${pods} pods at once, ${networks} macvlan networks of multus each, through launchers and agent`,
    subjects: { resident: manyMultusPods('ours', resident, pods, networks), ...go },
    lines: [...('go' in go ? versus('go', { add: 0.06, del: 0.06 }) : []), ...done],
    part: 0.15,
    close,
  };
}

/** One pod, one device. */
export async function residentDevice(tools: Tools): Promise<Bench> {
  const { tools: resident, close } = await startAgent(tools);
  return {
    name: 'resident-host-device',
    about: 'host-device + whereabouts through launcher and agent, beside Go host-device + host-local; a veth',
    subjects: { resident: oneDevice('ours', resident), go: oneDevice('go', tools) },
    lines: versus('go', { add: 0.4, del: 0.4 }),
    close,
  };
}

/** A node that has much to do: how long the last pod of many waits, and STATUS. */
export async function residentBusy(tools: Tools): Promise<Bench> {
  const { tools: resident, close } = await startAgent(tools);
  const [others, networks] = [32, 8];
  const line = (title: string, what: string): Line => ({
    title,
    ours: ['resident', what],
    peer: ['standalone', what],
    how: 'ratio',
    unit: 'ms',
  });
  return {
    name: 'resident-busy',
    about: `multus × ${networks} while ${others} others are added, and STATUS meanwhile`,
    subjects: {
      resident: busyNode('ours', resident, others, networks),
      standalone: busyNode('ours', tools, others, networks),
    },
    lines: [line('slowest ADD, resident ÷ standalone', 'slowest'), line('STATUS, resident ÷ standalone', 'status')],
    part: 0.5,
    close,
  };
}
