import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { insideOf } from './command.ts';
import { Failure } from './failure.ts';
import { type Conf, NODE, PROGRAMS } from './lab.ts';

export interface PluginCall {
  readonly verb: 'ADD' | 'CHECK' | 'DEL';
  readonly conf: Conf & { readonly type: string };
  readonly containerId: string;
  readonly netns: string;
  readonly ifName: string;
}

export interface PluginAnswer {
  readonly result: Conf | undefined;
  readonly ms: number;
}

/**
 * Calls a plugin as a container runtime does: the configuration on stdin, the rest in the environment.
 *
 * @throws Failure with the plugin's own message
 */
export function callPlugin({ verb, conf, containerId, netns, ifName }: PluginCall): PluginAnswer {
  const program = join(PROGRAMS, conf.type);
  const [enter, ...rest] = [...insideOf(NODE), program];
  const env = {
    PATH: process.env['PATH'] ?? '',
    CNI_COMMAND: verb,
    CNI_CONTAINERID: containerId,
    CNI_NETNS: `/run/netns/${netns}`,
    CNI_IFNAME: ifName,
    CNI_PATH: PROGRAMS,
  };
  const begin = performance.now();
  const { error, status, signal, stdout, stderr } = spawnSync(enter, rest, {
    env,
    input: JSON.stringify(conf),
    encoding: 'utf8',
  });
  const ms = performance.now() - begin;
  if (error !== undefined) {
    throw new Failure(`cannot start ${program}: ${error.message}`);
  }
  if (status !== 0) {
    const said = [messageIn(stdout), stderr.trim()].filter((text) => text !== '').join('\n');
    throw new Failure(`${verb} of ${containerId} by ${conf.type} failed: ${said || `exit status ${status ?? signal}`}`);
  }
  return { result: stdout.trim() === '' ? undefined : (JSON.parse(stdout) as Conf), ms };
}

function messageIn(stdout: string): string {
  try {
    const { code, msg } = JSON.parse(stdout) as { readonly code?: number; readonly msg?: string };
    return `${msg} (code ${code})`;
  } catch {
    return stdout.trim();
  }
}
