/**
 * The one program behind every name: run under a plugin's name it is that plugin, as `braid` the command line for
 * people. The only place that accesses the process: environment, arguments, standard streams, exit code.
 */

import { id, launcherBytes, nativeBytes, version } from 'braid:build';
import { registry } from 'braid:registry';
import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { startupSnapshot } from 'node:v8';
import type { Told } from '../lib/cli/device-programs.ts';
import { AGENT_SOCKET, type Program, STANDALONE_NAME } from '../lib/cli/program.ts';
import { loaderIn } from '../lib/cni/delegate.ts';
import { CniError, messageOf } from '../lib/cni/errors.ts';
import { errorText, type Outcome, runPlugin } from '../lib/cni/run.ts';
import { makeScope, type Scope } from '../lib/cni/scope.ts';
import { makeSuite } from '../lib/cni/suite.ts';
import { loadNative, type Native, type NativeOfEntry } from '../lib/netns/native.ts';
import { makeNode } from '../lib/node/node.ts';
import { LAUNCHER_MARK, markOf } from '../lib/sys/build-id.ts';
import type { Env } from '../lib/sys/execute.ts';
import { ioError } from '../lib/sys/io-error.ts';
import { logStream } from '../lib/sys/log-stream.ts';
import { readAll } from '../lib/sys/read-all.ts';
import { writeAll } from '../lib/sys/write-all.ts';
import { compileForLong } from './compiling.ts';
import { restoreNames } from './environment.ts';

/** Set by the build. */
declare const IS_SCRIPT: boolean;
declare const IS_CALLS_ONLY: boolean;

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;

const FAILED = 1;

/** What lives longer than nearly every call: one that waits. */
const LONG_LIVED_MS = 2000;

async function main(native: { loaded?: NativeOfEntry }): Promise<number> {
  const { name, args } = calledAs();
  const stderr = logStream(STDERR);
  const load = (): Native => {
    native.loaded = loadNative(nativeBytes());
    return native.loaded;
  };
  const scope = makeScope({
    node: makeNode({ loadNative: load }),
    suite: makeSuite(registry, [markOf(id), LAUNCHER_MARK]),
    log: (line) => stderr(`${line}\n`), // at once, so that a killed call has logged what it was doing
  });
  if (!IS_CALLS_ONLY && name === 'braid') {
    return runBraid(args, scope);
  }
  if (!IS_CALLS_ONLY && loaderIn(registry, name) === undefined) {
    const { isDeviceProgram, toldTo } = await import('../lib/cli/device-programs.ts');
    if (isDeviceProgram(name)) {
      return runTold(toldTo(name, args, version), scope);
    }
  }
  const outcome = await runNamed(name, scope);
  if (outcome.stderr !== '') {
    scope.log(outcome.stderr.trimEnd());
  }
  return print(outcome.stdout, scope.log) ? outcome.exitCode : FAILED;
}

async function runTold(told: Told, scope: Scope): Promise<number> {
  if ('args' in told) {
    return runBraid(told.args, scope);
  }
  for (const line of told.logged) {
    scope.log(line);
  }
  return print(told.printed.map((line) => `${line}\n`).join(''), scope.log) ? told.exitCode : FAILED;
}

async function runBraid(args: readonly string[], scope: Scope): Promise<number> {
  const { runCommandLine } = await import('../lib/cli/braid.ts');
  const program = { version, id, env: environment(), stopSignal, onHangup, launcher: launcherBytes, ...ownFile() };
  const lost: unknown[] = [];
  const exitCode = await runCommandLine(args, scope, program, (line) => {
    if (lost.length === 0) {
      attempt(() => writeAll(STDOUT, `${line}\n`), lost);
    }
  });
  const failure = lost.find((error) => (error as NodeJS.ErrnoException).code !== 'EPIPE'); // as with "| head"
  if (failure !== undefined) {
    scope.log(`braid: ${messageOf(ioError('write', 'standard output', failure))}`);
  }
  return failure === undefined ? exitCode : FAILED;
}

/** What asks for it lives on, an agent or a controller: a function keeps the threshold that it had at its first call. */
function stopSignal(): AbortSignal {
  if (!IS_SCRIPT) {
    compileForLong();
  }
  const stopping = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => stopping.abort(new Error(`ended by ${name}`)));
  }
  return stopping.signal;
}

function onHangup(call: () => void): void {
  process.on('SIGHUP', call);
}

function attempt(work: () => void, failures: unknown[]): void {
  try {
    work();
  } catch (error) {
    failures.push(error);
  }
}

/** Prints the document; a failure shows in the exit code. */
function print(document: string, log: (line: string) => void): boolean {
  try {
    writeAll(STDOUT, document);
    return true;
  } catch (error) {
    log(messageOf(ioError('write', 'standard output', error)));
    return false;
  }
}

async function runNamed(name: string, scope: Scope): Promise<Outcome> {
  const load = loaderIn(registry, name);
  if (load === undefined) {
    const known = [...Object.keys(registry), ...(IS_CALLS_ONLY ? [] : ['braid'])].join(', ');
    const error = new CniError('internal', `cannot run as "${name}": this program is one of ${known}`);
    return { stdout: errorText(error), stderr: '', exitCode: 1 };
  }
  const env = environment();
  if (!IS_SCRIPT) {
    await leaveAgentBehind(env, scope);
  }
  const invocation = { env, readStdin: () => readAll(STDIN) };
  return runPlugin(await load(), invocation, scope);
}

/** Launchers execute this program where no agent takes their call: the next one may find one. It is no part of the call. */
async function leaveAgentBehind(env: Env, scope: Scope): Promise<void> {
  if (!process.execPath.endsWith(`/${STANDALONE_NAME}`)) {
    return;
  }
  try {
    const { startAgentOnDemand } = await import('../lib/agent/on-demand.ts');
    const { native } = scope.node;
    await startAgentOnDemand({ native, path: process.execPath, env, socket: AGENT_SOCKET });
  } catch (error) {
    scope.log(`cannot start an agent: ${messageOf(error)}`);
  }
}

/** A copy: every access to Node's own is a native call. */
const environment = (): Env => (IS_SCRIPT ? { ...process.env } : restoreNames(process.env));

/** A script is the second word of the command line; the standalone executable the first. */
function calledAs(): { readonly name: string; readonly args: readonly string[] } {
  const program = IS_SCRIPT ? (process.argv[1] ?? '') : process.argv0;
  return { name: basename(program), args: process.argv.slice(2) };
}

/** The file that `braid install` copies. An executable that was replaced while running is still available through /proc. */
function ownFile(): Pick<Program, 'form' | 'file' | 'folder'> {
  const path = IS_SCRIPT ? (process.argv[1] ?? '') : process.execPath;
  const folder = dirname(existsSync(path) ? realpathSync(path) : path);
  return IS_SCRIPT ? { form: 'script', file: path, folder } : { form: 'standalone', file: '/proc/self/exe', folder };
}

/**
 * Everything is written by now, and the kernel closes our descriptors: waiting for pending work would cost 2 ms per
 * call, and an orderly shutdown of Node one more.
 */
function run(): void {
  if (!IS_SCRIPT) {
    setTimeout(compileForLong, LONG_LIVED_MS).unref();
  }
  const native: { loaded?: NativeOfEntry } = {};
  const leave = (code: number): never => native.loaded?.endProcess(code) ?? process.exit(code);
  main(native).then(leave, (error: unknown) => {
    const log = logStream(STDERR);
    print(errorText(error), (line) => log(`${line}\n`));
    leave(FAILED);
  });
}

/**
 * The executable starts from a snapshot of the heap, taken by the build after all modules have been evaluated:
 * evaluating them takes 20 ms, more than half of an empty start.
 */
async function prepareSnapshot(): Promise<void> {
  await import('node:crypto'); // most of what TLS loads, which no snapshot can hold
  const { poolSize } = Buffer;
  // A small buffer that lives on would keep its whole pool in the snapshot: which one hangs on lengths of numbers.
  Buffer.poolSize = 0;
  await Promise.all(Object.values(registry).map((load) => load()));
  await import('../lib/cli/braid.ts');
  await (await import('./warm-up.ts')).warmUp(registry);
  forgetTheMachine();
  fillNumberCache();
  Buffer.poolSize = poolSize;
  startupSnapshot.setDeserializeMainFunction(run);
}

/**
 * For reproducible builds: V8's cache of numbers as texts is small until two numbers want one place in it, which with
 * inode numbers and times is chance. It is empty again in the snapshot, but keeps its size.
 */
function fillNumberCache(): void {
  for (let number = 0; number < 10_000; number++) {
    String(number + 0.5);
  }
}

/** For reproducible builds: clears process ids and stat buffers. */
function forgetTheMachine(): void {
  Object.defineProperty(process, 'pid', { value: 1 });
  Object.defineProperty(process, 'ppid', { value: 1 });
  const { binding } = process as unknown as { binding(name: string): Record<string, Float64Array | BigInt64Array> };
  for (const [name, values] of Object.entries(binding('fs'))) {
    if (/^(big[iI]nt)?[sS]tat(Fs)?Values$/.test(name)) {
      values.fill((typeof values[0] === 'bigint' ? 0n : 0) as never);
    }
  }
}

if (IS_SCRIPT) {
  run();
} else {
  void prepareSnapshot(); // a rejection that nobody handles ends the build
}
