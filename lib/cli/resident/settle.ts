import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { askAgent } from '../../agent/ask.ts';
import { CniError } from '../../cni/errors.ts';
import type { Scope } from '../../cni/scope.ts';
import { poll } from '../../sys/clock.ts';
import type { Env } from '../../sys/execute.ts';
import { missingLibraries } from '../libraries.ts';
import { AGENT_SOCKET } from '../program.ts';
import { isLauncher } from '../source.ts';
import { bringUnits, type DeviceWords, hasUnits, isSystemdThere, removeUnits, SOCKET_UNIT } from './units.ts';

/** An agent looks after its program every two seconds. */
const END_MS = 5000;
const BACKOFF = { firstMs: 50, longestMs: 250 } as const;

type Print = (line: string) => void;

/** Who runs the agent of a node with launchers. */
export type AgentBy = 'systemd' | 'call' | 'others';

export interface WantedAgent {
  readonly by: AgentBy;
  /** what systemd has it hand out */
  readonly devices: DeviceWords;
}

/** The socket of the agent that launchers of this environment call. */
export const agentSocket = (env: Env): string => (env['BRAID_AGENT'] ?? '') || AGENT_SOCKET;

/**
 * Does for the agent what comes after the launchers: units where there is systemd, none where somebody else starts it.
 *
 * @throws CniError
 */
export async function settleAgent(
  scope: Scope,
  bin: string,
  { by, devices }: WantedAgent,
  env: Env,
  tell: Print,
): Promise<void> {
  if (by === 'systemd' && isSystemdThere()) {
    const changed = await bringUnits(scope, bin, devices, env);
    tell(`${SOCKET_UNIT} is enabled${changed.length > 0 ? ', and has started' : ''}`);
    return;
  }
  if (hasUnits(bin)) {
    await removeUnits(scope, env);
    tell(`${SOCKET_UNIT} is disabled and removed`);
  }
  if (by === 'systemd') {
    tell('no agent is started: there is no systemd here: use --on-demand, or run "braid agent" as a service');
  }
}

/**
 * A node without the libraries of the program can have launchers, while an agent in a container listens: nothing else
 * would serve its calls.
 *
 * @param why the program does not run
 * @throws CniError
 */
export async function demandAgent(socket: string, why: string, tell: Print): Promise<void> {
  const { state } = await askAgent(socket);
  if (state !== 'answers') {
    throw new CniError(
      'internal',
      `${why}; and no agent listens at "${socket}", which could do its work: start one first`,
    );
  }
  tell(`${why}: while no agent listens, calls fail with code 11`);
}

/** @throws CniError when the program does not run on this node, and nobody else serves calls */
export async function refuseUnserved(scope: Scope, program: string, env: Env, tell: Print): Promise<void> {
  const missing = await missingLibraries(scope, program);
  if (missing.length > 0) {
    const what = missing.map((one) => one.what).join(', ');
    await demandAgent(agentSocket(env), `the program beside the launchers does not run on this node: ${what}`, tell);
  }
}

/** Names of launchers in a plugin folder. */
export function launchersIn(bin: string): readonly string[] {
  try {
    return readdirSync(bin).filter((name) => !name.startsWith('.') && isLauncher(join(bin, name)));
  } catch {
    return [];
  }
}

/** Waits for the end of an agent that a call has started, whose program is gone, and removes what it leaves. */
export async function removeRun(scope: Scope, socket: string): Promise<void> {
  const folder = dirname(socket);
  await poll(scope, END_MS, BACKOFF, async () => (existsSync(socket) ? undefined : true));
  if (!existsSync(folder)) {
    return;
  }
  try {
    rmSync(join(folder, 'agent.log'), { force: true });
    rmdirSync(folder);
  } catch {
    // an agent still finishes its calls: it removes its socket itself
  }
}
