/**
 * The one program behind every name: a plugin's name runs the plugin, `braid` is the command line for people. This is
 * the only place that looks at the process: environment, arguments, standard streams, exit code.
 */

import { id, nativeBytes, version } from 'braid:build';
import { registry } from 'braid:registry';
import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { startupSnapshot } from 'node:v8';
import type { Program } from '../lib/cli/program.ts';
import { loaderIn } from '../lib/cni/delegate.ts';
import { CniError, messageOf } from '../lib/cni/errors.ts';
import { errorText, type Outcome, runPlugin } from '../lib/cni/run.ts';
import { makeScope, type Scope } from '../lib/cni/scope.ts';
import { makeSuite } from '../lib/cni/suite.ts';
import { loadNative, type Native, type NativeOfEntry } from '../lib/netns/native.ts';
import { makeNode } from '../lib/node/node.ts';
import { markOf } from '../lib/sys/build-id.ts';
import type { Env } from '../lib/sys/execute.ts';
import { ioError } from '../lib/sys/io-error.ts';
import { logStream } from '../lib/sys/log-stream.ts';
import { readAll } from '../lib/sys/read-all.ts';
import { writeAll } from '../lib/sys/write-all.ts';
import { revealed } from './environment.ts';

/** Set by the build. */
declare const IS_SCRIPT: boolean;

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;

const FAILED = 1;

async function main(native: { loaded?: NativeOfEntry }): Promise<number> {
  const { name, args } = calledAs();
  const stderr = logStream(STDERR);
  const load = (): Native => {
    native.loaded = loadNative(nativeBytes());
    return native.loaded;
  };
  const scope = makeScope({
    node: makeNode({ loadNative: load }),
    suite: makeSuite(registry, [markOf(id)]),
    log: (line) => stderr(`${line}\n`), // at once: a call that is killed has said what it was doing
  });
  if (name === 'braid') {
    return runBraid(args, scope);
  }
  const outcome = await runNamed(name, scope);
  if (outcome.stderr !== '') {
    scope.log(outcome.stderr.trimEnd());
  }
  return print(outcome.stdout, scope.log) ? outcome.exitCode : FAILED;
}

async function runBraid(args: readonly string[], scope: Scope): Promise<number> {
  const { runCommandLine } = await import('../lib/cli/braid.ts');
  const program = { version, id, env: environment(), ...ownFile() };
  const lost: unknown[] = [];
  const exitCode = await runCommandLine(args, scope, program, (line) => {
    if (lost.length === 0) {
      attempt(() => writeAll(STDOUT, `${line}\n`), lost);
    }
  });
  const failure = lost.find((error) => (error as NodeJS.ErrnoException).code !== 'EPIPE'); // who reads with head has enough
  if (failure !== undefined) {
    scope.log(`braid: ${messageOf(ioError('write', 'standard output', failure))}`);
  }
  return failure === undefined ? exitCode : FAILED;
}

function attempt(work: () => void, failures: unknown[]): void {
  try {
    work();
  } catch (error) {
    failures.push(error);
  }
}

/** The caller gets the document, or learns from the exit code that there was one. */
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
    const known = Object.keys(registry).join(', ');
    const error = new CniError('internal', `cannot run as "${name}": this program is one of ${known}, braid`);
    return { stdout: errorText(error), stderr: '', exitCode: 1 };
  }
  const invocation = { env: environment(), readStdin: () => readAll(STDIN) };
  return runPlugin(await load(), invocation, scope);
}

/** A copy: each look at Node's own costs a call into it. */
const environment = (): Env => (IS_SCRIPT ? { ...process.env } : revealed(process.env));

/** A script is the second word of the command line; the executable with Node inside is the first. */
function calledAs(): { readonly name: string; readonly args: readonly string[] } {
  const program = IS_SCRIPT ? (process.argv[1] ?? '') : process.argv0;
  return { name: basename(program), args: process.argv.slice(2) };
}

/** What `braid install` copies. An executable that was replaced while it runs is still behind its link in /proc. */
function ownFile(): Pick<Program, 'form' | 'file' | 'folder'> {
  const path = IS_SCRIPT ? (process.argv[1] ?? '') : process.execPath;
  const folder = dirname(existsSync(path) ? realpathSync(path) : path);
  return IS_SCRIPT ? { form: 'script', file: path, folder } : { form: 'standalone', file: '/proc/self/exe', folder };
}

/**
 * All is written, and nothing that is open must be closed by us: waiting for what else may be going on costs 2 ms of each
 * call, and taking Node down in good order one more.
 */
function run(): void {
  const native: { loaded?: NativeOfEntry } = {};
  const leave = (code: number): never => native.loaded?.endProcess(code) ?? process.exit(code);
  main(native).then(leave, (error: unknown) => {
    const log = logStream(STDERR);
    print(errorText(error), (line) => log(`${line}\n`));
    leave(FAILED);
  });
}

/**
 * The executable starts from a snapshot of the heap, taken by the build when every module has been evaluated:
 * evaluating them costs 20 ms, more than half of an empty start.
 */
async function prepareSnapshot(): Promise<void> {
  await Promise.all(Object.values(registry).map((load) => load()));
  await import('../lib/cli/braid.ts');
  await (await import('./warm-up.ts')).warmUp(registry);
  forgetTheMachine();
  startupSnapshot.setDeserializeMainFunction(run);
}

/** The same input gives the same bytes: no process number and nothing that a file's state left behind is kept. */
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
  prepareSnapshot();
}
