/** Starting programs, and the time that takes. */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { labName, netnsPath, scratchOf } from './lab.ts';

/** Standard streams are files in memory: pipes would have to be served while the program runs. */
const SCRATCH = scratchOf(labName() ?? '');

export interface PluginCall {
  readonly verb: 'ADD' | 'CHECK' | 'DEL' | 'VERSION';
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

interface Streams {
  readonly files: readonly [string, string, string];
  readonly fds: readonly [number, number, number];
}

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
  const [program = '', ...args] = argv;
  const streams = openStreams('one', stdin);
  try {
    const begin = performance.now();
    const { error, status, signal } = spawnSync(program, args, { env, stdio: [...streams.fds] });
    const ms = performance.now() - begin;
    if (error !== undefined || status !== 0) {
      throw new Error(`${program} failed (${error?.message ?? status ?? signal}): ${saidIn(streams)}`);
    }
    return { ms, stdout: readFileSync(streams.files[1], 'utf8') };
  } finally {
    streams.fds.map(closeSync);
  }
}

/** Calls plugins one after another, from a shell: it starts programs at a third of what this runner takes. */
export function timeChain(calls: readonly PluginCall[]): { readonly ms: number; readonly stdouts: readonly string[] } {
  const all = calls.map((call, index) => ({ call, streams: openStreams(`chain${index}`, JSON.stringify(call.conf)) }));
  const lines = all.map(({ call, streams: { files } }) => {
    const assignments = Object.entries(envOf(call)).map(([name, value]) => `${name}='${value}'`);
    return `${assignments.join(' ')} '${call.program}' <'${files[0]}' >'${files[1]}' 2>'${files[2]}'`;
  });
  const script = join(SCRATCH, 'chain.sh');
  writeFileSync(script, `set -e\n${lines.join('\n')}\n`);
  try {
    const { ms } = timeProgram(['/bin/sh', script]);
    return { ms, stdouts: all.map(({ streams }) => readFileSync(streams.files[1], 'utf8')) };
  } catch (error) {
    throw new Error(`${String(error)} ${all.map(({ streams }) => saidIn(streams)).join(' ')}`);
  } finally {
    all.flatMap(({ streams }) => streams.fds).map(closeSync);
  }
}

/** Calls plugins all at once, and waits for the last. */
export async function timeTogether(
  calls: readonly PluginCall[],
): Promise<{ readonly ms: number; readonly stdouts: readonly string[] }> {
  const all = calls.map((call, index) => ({ call, streams: openStreams(`with${index}`, JSON.stringify(call.conf)) }));
  try {
    const begin = performance.now();
    await Promise.all(
      all.map(
        ({ call, streams }) =>
          new Promise<void>((resolve, reject) => {
            const child = spawn(call.program, [], { env: envOf(call), stdio: [...streams.fds] });
            child.on('error', reject);
            child.on('exit', (code) =>
              code === 0 ? resolve() : reject(new Error(`${call.program} failed (${code}): ${saidIn(streams)}`)),
            );
          }),
      ),
    );
    const ms = performance.now() - begin;
    return { ms, stdouts: all.map(({ streams }) => readFileSync(streams.files[1], 'utf8')) };
  } finally {
    all.flatMap(({ streams }) => streams.fds).map(closeSync);
  }
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

function openStreams(name: string, stdin: string): Streams {
  const files = ['in', 'out', 'err'].map((what) => join(SCRATCH, `${name}.${what}`)) as [string, string, string];
  writeFileSync(files[0], stdin);
  return { files, fds: [openSync(files[0], 'r'), openSync(files[1], 'w'), openSync(files[2], 'w')] };
}

const saidIn = ({ files: [, out, err] }: Streams): string =>
  `${readFileSync(out, 'utf8')} ${readFileSync(err, 'utf8')}`.trim();
