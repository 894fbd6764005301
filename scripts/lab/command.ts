import { spawnSync } from 'node:child_process';
import { Failure } from './failure.ts';

/**
 * Runs a program.
 *
 * @returns its standard output
 * @throws Failure with the command and its output
 */
export function run(program: string, ...args: readonly string[]): string {
  const { error, status, signal, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (error !== undefined) {
    throw new Failure(`cannot run ${program}: ${error.message}`);
  }
  if (status !== 0) {
    const said = (stderr + stdout).trim() || `exit status ${status ?? signal}`;
    throw new Failure(`cannot run "${[program, ...args].join(' ')}": ${said}`);
  }
  return stdout;
}

/** Runs `ip` with JSON output, inside a named namespace. */
export const ipJson = <T>(netns: string, ...args: readonly string[]): readonly T[] => {
  const text = run('ip', '-n', netns, '-j', ...args).trim();
  return text === '' ? [] : (JSON.parse(text) as readonly T[]);
};

/** Command prefix that runs a program inside a named namespace: like `ip netns exec`, without its mounts. */
export const insideOf = (netns: string): readonly [string, string] => ['nsenter', `--net=/run/netns/${netns}`];
