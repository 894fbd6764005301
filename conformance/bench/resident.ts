/** Launchers and an agent, beside the standalone programs and the Go plugins. */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Bench, Line } from './bench.ts';
import { labName, scratchOf } from './lab.ts';
import { timeProgram } from './program.ts';
import { manyPods, multusPod, onePod, type Subject, type Tools, trueStart } from './subjects.ts';

/** The same plugins, called through launchers. */
interface Resident {
  readonly tools: Tools;
  readonly close: () => Promise<void>;
}

async function startAgent(tools: Tools): Promise<Resident> {
  const folder = join(scratchOf(labName() ?? ''), 'agent');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const socket = join(folder, 'agent.sock');
  const agent = spawn(join(tools.ours, 'braid'), ['agent', '--socket', socket], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await new Promise((resolve, reject) => {
    agent.stderr.once('data', resolve);
    agent.once('exit', () => reject(new Error('the agent has ended')));
  });
  const ours = join(dirname(tools.ours), 'resident');
  return {
    tools: { ...tools, ours, env: { BRAID_AGENT: socket } },
    close: async () => {
      agent.removeAllListeners('exit');
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
