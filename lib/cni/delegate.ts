import { type Stats, statSync } from 'node:fs';
import { basename } from 'node:path';
import { type Env, type Executed, ExecutionTimeout } from '../sys/execute.ts';
import { inside } from '../sys/inside.ts';
import { CniError, messageOf } from './errors.ts';
import { isObject, type JsonObject, lookUp } from './json.ts';
import type { Plugin } from './plugin.ts';
import { checkEnvironment, readCall } from './read-call.ts';
import { parseStdout } from './result.ts';
import { errorText, runCall } from './run.ts';
import type { Scope } from './scope.ts';
import type { Stdin } from './stdin.ts';
import type { Registry } from './suite.ts';

const BUSY_TRIES = 6;
const BUSY_PAUSE_MS = 1000;

export interface Delegation {
  readonly type: string;
  /** folders to search, in order */
  readonly path: readonly string[];
  /** whole environment of the delegate, CNI_COMMAND included */
  readonly env: Env;
  readonly stdin: Stdin;
  /** time limit if it is executed; see `delegateTimeoutMs` */
  readonly timeoutMs: number;
}

/** The default timeout of runtimes for a pod's networks. */
const TIMEOUT_S = 240;

/** `delegateTimeout` of a configuration, in milliseconds; an invalid one counts as absent. */
export function delegateTimeoutMs(document: JsonObject): number {
  const seconds = lookUp(document, 'delegateTimeout');
  return (typeof seconds === 'number' && seconds > 0 ? seconds : TIMEOUT_S) * 1000;
}

/** What a plugin has answered. */
export interface Answer {
  /**
   * The result of ADD; undefined for `null`.
   *
   * @throws CniError internal, when what was printed is no JSON object
   */
  result(): JsonObject | undefined;
}

/**
 * Calls another plugin: in this process if the file found is our own build, else by executing it. Both behave the same.
 *
 * @throws CniError with the delegate's code
 */
export async function callDelegate(scope: Scope, delegation: Delegation): Promise<Answer> {
  const found = findPlugin(scope, delegation);
  const load = executesAll(delegation.env) ? undefined : ownPlugin(scope, found);
  return load === undefined
    ? executeDelegate(scope, found.file, delegation)
    : runDelegate(scope, await load(), delegation);
}

async function runDelegate(scope: Scope, plugin: Plugin, { env, stdin }: Delegation): Promise<Answer> {
  let result: JsonObject | undefined;
  try {
    result = await runCall(plugin, env, stdin, scope);
  } catch (error) {
    throw failureOf(errorText(error), '', 'exit status 1'); // as the plugin would have printed it
  }
  return { result: () => result };
}

async function executeDelegate(scope: Scope, file: string, delegation: Delegation): Promise<Answer> {
  const executed = await scope.span(`execute ${delegation.type} ${delegation.env['CNI_COMMAND']}`, () =>
    executeUnlessBusy(scope, file, delegation),
  );
  const [stdout, stderr] = [executed.stdout.toString('utf8'), executed.stderr.toString('utf8')];
  const isSuccess = executed.exitCode === 0;
  const text = stderr.trimEnd();
  if (text !== '' && (isSuccess || stdout !== '')) {
    scope.log(text);
  }
  if (!isSuccess) {
    const { signal, exitCode } = executed;
    throw failureOf(stdout, stderr, signal === undefined ? `exit status ${exitCode}` : `signal: ${signal}`);
  }
  return { result: () => parseStdout(stdout) };
}

/**
 * Asks a plugin of this build what it would refuse of an ADD, without running it. Other plugins only have to exist.
 *
 * @throws CniError as `callDelegate` would
 */
export async function foreseeDelegate(scope: Scope, { type, path, env, stdin }: Delegation): Promise<void> {
  const plugin = await ownPlugin(scope, findPlugin(scope, { type, path }))?.();
  if (plugin !== undefined) {
    checkEnvironment(env);
    const call = readCall(env, stdin);
    if (call.verb === 'ADD') {
      await plugin.foresee(call, scope);
    }
  }
}

/** The plugin of this build that a type leads to; undefined for another's, and where it is not found. */
export async function ownDelegate(
  scope: Scope,
  { type, path }: Pick<Delegation, 'type' | 'path'>,
): Promise<Plugin | undefined> {
  const found = type.includes('/') ? undefined : fileIn(scope, path, type);
  return found && ownPlugin(scope, found)?.();
}

/** Would `callDelegate` run this plugin inside the process? Not when it cannot be found. */
export function runsInProcess(scope: Scope, type: string, path: readonly string[], env: Env): boolean {
  const found = type === '' || type.includes('/') || executesAll(env) ? undefined : fileIn(scope, path, type);
  return found !== undefined && ownPlugin(scope, found) !== undefined;
}

/** A plugin's file, as it was when it was found. */
interface FoundFile {
  readonly file: string;
  readonly stats: Stats;
}

/**
 * The first regular file of that name, searched and reported as libcni does. Whether it is executable shows when it is
 * executed.
 *
 * @throws CniError internal naming the folders searched, in libcni's words
 */
export function findPlugin(scope: Scope, { type, path }: Pick<Delegation, 'type' | 'path'>): FoundFile {
  if (type === '') {
    throw new CniError('internal', 'no plugin name provided');
  }
  if (type.includes('/')) {
    throw new CniError('internal', `invalid plugin name: ${type}`);
  }
  if (path.length === 0) {
    throw new CniError('internal', 'no paths provided');
  }
  const found = fileIn(scope, path, type);
  if (found === undefined) {
    throw new CniError('internal', `failed to find plugin "${type}" in path [${path.join(' ')}]`);
  }
  return found;
}

function fileIn({ node }: Scope, path: readonly string[], type: string): FoundFile | undefined {
  for (const folder of path) {
    const file = inside(folder, type);
    const stats = node.glance(`plugin ${file}`, () => statsOf(file));
    if (stats?.isFile()) {
      return { file, stats };
    }
  }
  return undefined;
}

/** The loader of a plugin of this build; undefined for any other name, including those that every object has. */
export const loaderIn = (registry: Registry, name: string): Registry[string] | undefined =>
  Object.hasOwn(registry, name) ? registry[name] : undefined;

function ownPlugin(scope: Scope, { file, stats }: FoundFile): Registry[string] | undefined {
  const load = loaderIn(scope.suite.registry, basename(file));
  return load !== undefined && scope.suite.isOwnBuild(file, stats) ? load : undefined;
}

const executesAll = (env: Env): boolean => env['BRAID_EXEC_DELEGATES'] === '1';

/** In libcni's words, which people know from the logs of runtimes. */
function failureOf(stdout: string, stderr: string, ending: string): CniError {
  if (stdout === '') {
    return stderr === ''
      ? new CniError('internal', `netplugin failed with no error message: ${ending}`)
      : new CniError('internal', `netplugin failed: ${JSON.stringify(stderr)}: ${ending}`);
  }
  let answer: unknown;
  try {
    answer = JSON.parse(stdout);
  } catch {
    // reported below
  }
  if (!isObject(answer)) {
    return new CniError(
      'internal',
      `netplugin failed but error parsing its diagnostic message ${JSON.stringify(stdout)}`,
    );
  }
  const [code, message, details] = ['code', 'msg', 'details'].map((key) => lookUp(answer, key));
  return new CniError(typeof code === 'number' ? code : 'internal', typeof message === 'string' ? message : stdout, {
    ...(typeof details === 'string' && details !== '' ? { details } : {}),
  });
}

async function executeUnlessBusy(scope: Scope, file: string, { env, stdin, timeoutMs }: Delegation): Promise<Executed> {
  for (let tries = 1; ; tries++) {
    try {
      return await scope.execute({ path: file, env, stdin: stdin.bytes, timeoutMs });
    } catch (error) {
      if (error instanceof CniError) {
        throw error; // not of the execution: whoever made the scope has something against it
      }
      if (error instanceof ExecutionTimeout) {
        throw new CniError('tryAgainLater', `cannot wait for plugin ${error.message}`, { cause: error });
      }
      const busy = (error as NodeJS.ErrnoException).code === 'ETXTBSY';
      if (!busy || tries === BUSY_TRIES) {
        const why = busy ? 'text file busy' : messageOf(error);
        throw new CniError('internal', `cannot execute plugin "${file}": ${why}`, { cause: error });
      }
      await scope.sleep(BUSY_PAUSE_MS);
    }
  }
}

function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
