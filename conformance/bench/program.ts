/** Starting programs, and the time that takes. */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { folderOf, labName, netnsPath, run, scratchOf } from './lab.ts';

/** Standard streams are files in memory: pipes would have to be served while the program runs. */
const SCRATCH = scratchOf(labName() ?? '');

export interface PluginCall {
  readonly verb: 'ADD' | 'CHECK' | 'DEL' | 'STATUS' | 'VERSION';
  readonly program: string;
  readonly conf: Readonly<Record<string, unknown>>;
  /** folders of delegates */
  readonly path: string;
  readonly pod: string;
  readonly ifName: string;
  /** CNI_ARGS */
  readonly args?: string;
  /** further variables */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Timed {
  readonly ms: number;
  readonly stdout: string;
}

/** Paths of standard input, output and error. */
type Streams = readonly [string, string, string];

export const envOf = ({ verb, path, pod, ifName, args, env }: PluginCall): Readonly<Record<string, string>> => ({
  CNI_COMMAND: verb,
  CNI_CONTAINERID: pod,
  CNI_NETNS: netnsPath(pod),
  CNI_IFNAME: ifName,
  CNI_PATH: path,
  ...(args === undefined ? {} : { CNI_ARGS: args }),
  ...env,
});

/**
 * Calls a plugin and waits for its end.
 *
 * @throws Error with what it said
 */
export function timeCall(call: PluginCall): Timed {
  return timeProgram([call.program], envOf(call), JSON.stringify(call.conf));
}

/** Runs a program to its end. */
export function timeProgram(argv: readonly string[], env: Readonly<Record<string, string>> = {}, stdin = ''): Timed {
  const { ms, stdouts } = timePrograms('chain', [{ argv, env, stdin }]);
  return { ms, stdout: stdouts[0] ?? '' };
}

/** Calls plugins one after another. */
export const timeChain = (calls: readonly PluginCall[]): TimedAll => timePrograms('chain', calls.map(programOf));

/** Calls plugins all at once, and waits for the last. */
export const timeTogether = (calls: readonly PluginCall[]): TimedAll => timePrograms('together', calls.map(programOf));

export interface TimedAll {
  /** until the last one has ended */
  readonly ms: number;
  /** of each */
  readonly times: readonly number[];
  readonly stdouts: readonly string[];
}

interface Program {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

const programOf = (call: PluginCall): Program => ({
  argv: [call.program],
  env: envOf(call),
  stdin: JSON.stringify(call.conf),
});

/** @throws Error with what the first that fails said */
function timePrograms(order: 'chain' | 'together', programs: readonly Program[]): TimedAll {
  const all = programs.map(({ argv, env, stdin }, index) => ({ argv, env, files: streamsOf(index, stdin) }));
  const words = all.flatMap(({ argv, env, files }) => [
    ...files,
    ...[...argv, ''],
    ...[...Object.entries(env).map(([name, value]) => `${name}=${value}`), ''],
  ]);
  const input = [order, ...words].map((word) => `${word}\0`).join('');
  const { stdout, stderr, status } = spawnSync(builtCaller(), { input, encoding: 'utf8' });
  const [ms = Number.NaN, ...each] = stdout.split(' ').map(Number);
  const [outcomes, times] = [0, 1].map((part) => each.filter((_, index) => index % 2 === part)) as [number[], number[]];
  const failed = outcomes.findIndex((outcome) => outcome !== 0);
  if (status !== 0 || failed >= 0) {
    const one = all[Math.max(failed, 0)];
    throw new Error(`${one?.argv.join(' ')} failed (${outcomes[failed]}): ${stderr} ${one && saidIn(one.files)}`);
  }
  return { ms, times, stdouts: all.map(({ files: [, out] }) => readFileSync(out, 'utf8')) };
}

let caller: string | undefined;

/** Starting programs takes this runner, with all its memory, several times what it takes a runtime. */
function builtCaller(): string {
  if (caller === undefined) {
    const path = join(folderOf(labName() ?? ''), 'caller');
    run(['cc', '-Wall', '-Werror', '-O2', '-o', path, join(import.meta.dirname, 'caller.c')]);
    caller = path;
  }
  return caller;
}

/**
 * Several callers at once, each of whom makes its calls one after another.
 *
 * @throws Error with what the first that fails said, after all have ended
 */
export async function timeQueues(
  queues: readonly (readonly PluginCall[])[],
): Promise<{ readonly ms: number; readonly slowestMs: number }> {
  const times: number[] = [];
  const begin = performance.now();
  const outcomes = await Promise.allSettled(
    queues.map(async (queue) => {
      for (const call of queue) {
        const start = performance.now();
        await called(call);
        times.push(performance.now() - start);
      }
    }),
  );
  const ms = performance.now() - begin;
  const failed = outcomes.find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') {
    throw failed.reason;
  }
  return { ms, slowestMs: Math.max(...times) };
}

async function called(call: PluginCall): Promise<void> {
  const child = spawn(call.program, [], { env: envOf(call), stdio: ['pipe', 'pipe', 'pipe'] });
  const said: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => said.push(part));
  child.stderr.on('data', (part: Buffer) => said.push(part));
  child.stdin.end(JSON.stringify(call.conf));
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) {
    throw new Error(`${call.program} ${call.verb} of ${call.pod} failed (${code}): ${Buffer.concat(said)}`);
  }
}

/** Processes that execute a program during a call, its own included, as strace sees them. */
export function countProcesses(call: PluginCall): number {
  const executed = traced(call, ['-e', 'trace=execve']).matchAll(/^(\d+) .*\bexecve\b.* = 0$/gm);
  return new Set([...executed].map(([, pid]) => pid)).size;
}

/** System calls of a call, of its delegates too, and what of them are netlink requests. */
export function countSystemCalls(call: PluginCall): { readonly calls: number; readonly requests: number } {
  const lines = traced(call, ['-yy']).split('\n');
  const begun = lines.filter((line) => /^\d+ +\w+\(/.test(line));
  const requests = begun.filter((line) => /^\d+ +(write|sendto|sendmsg)\(\d+<NETLINK:/.test(line));
  return { calls: begun.length, requests: requests.length };
}

/** What strace writes of a call. */
function traced(call: PluginCall, options: readonly string[]): string {
  const trace = join(SCRATCH, 'trace');
  const words = ['strace', '-f', '-qq', ...options, '-e', 'signal=none', '-o', trace];
  timeProgram([...words, call.program], { ...envOf(call), PATH: process.env['PATH'] ?? '' }, JSON.stringify(call.conf));
  return readFileSync(trace, 'utf8');
}

function streamsOf(index: number, stdin: string): Streams {
  const files = ['in', 'out', 'err'].map((what) => join(SCRATCH, `${index}.${what}`)) as [string, string, string];
  writeFileSync(files[0], stdin);
  return files;
}

const saidIn = ([, out, err]: Streams): string => `${readFileSync(out, 'utf8')} ${readFileSync(err, 'utf8')}`.trim();
