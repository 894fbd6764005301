import type { Netns } from '../netns/netns.ts';
import type { Env } from '../sys/execute.ts';
import { asCniError, bounded, CniError, messageOf } from './errors.ts';
import { compact, type JsonObject, pretty } from './json.ts';
import type { Plugin } from './plugin.ts';
import { checkEnvironment, readCall, type UnreadCall, validAttachments } from './read-call.ts';
import { formatResult } from './result.ts';
import type { Scope } from './scope.ts';
import { Stdin } from './stdin.ts';
import { NEWEST, VERSIONS } from './versions.ts';

export interface Invocation {
  readonly env: Env;
  /** read only when the verb needs it */
  readonly readStdin: () => Buffer;
}

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: 0 | 1;
}

/** Runs one call of a plugin. The outcome always has at most one document on stdout. */
export async function runPlugin(plugin: Plugin, invocation: Invocation, scope: Scope): Promise<Outcome> {
  try {
    const { env } = invocation;
    if ((env['CNI_COMMAND'] ?? '') === '' && plugin.about !== '') {
      return { stdout: '', stderr: aboutText(plugin), exitCode: 0 };
    }
    checkEnvironment(env);
    if (env['CNI_COMMAND'] === 'VERSION') {
      return done(versionText());
    }
    const result = await runCall(plugin, env, stdinOf(invocation), scope);
    return done(result === undefined ? '' : pretty(result));
  } catch (error) {
    return { stdout: errorText(error), stderr: '', exitCode: 1 };
  }
}

/**
 * The same for a caller in this process, which needs no texts.
 *
 * @returns what ADD prints; undefined for the other verbs
 * @throws what `errorText` prints
 */
export async function runCall(plugin: Plugin, env: Env, stdin: Stdin, scope: Scope): Promise<JsonObject | undefined> {
  checkEnvironment(env);
  const call = readCall(env, stdin);
  return scope.span(`${plugin.name} ${call.verb}`, () => dispatch(plugin, call, scope));
}

/** The answer to VERSION as printed. */
export const versionText = (): string => `${compact({ cniVersion: NEWEST, supportedVersions: VERSIONS })}\n`;

/** The error object as printed. */
export function errorText(error: unknown): string {
  const { code, message, details } = asCniError(error);
  return pretty({ code, msg: bounded(message), ...(details ? { details: bounded(details) } : {}) });
}

const done = (stdout: string): Outcome => ({ stdout, stderr: '', exitCode: 0 });

async function dispatch(plugin: Plugin, call: UnreadCall, scope: Scope): Promise<JsonObject | undefined> {
  using _sandbox = openSandbox(call, scope);
  switch (call.verb) {
    case 'ADD':
      return formatResult(await plugin.add(call, scope), call.version);
    case 'DEL':
      await plugin.del(call, scope);
      return undefined;
    case 'CHECK':
      await plugin.check(call, scope);
      return undefined;
    case 'STATUS':
      await plugin.status(call, scope);
      return undefined;
    case 'GC':
      await plugin.gc(call, scope, validAttachments(call.document));
      return undefined;
  }
}

/**
 * Holds the sandbox open during the call, so that delegates share its sockets. A path that cannot be opened is left to
 * the plugin.
 *
 * A recycled /proc/<pid> path can lead to the node's own namespace, which must not be touched; DEL looks for the pod's
 * elsewhere.
 *
 * @throws CniError invalidNetns
 */
function openSandbox(call: UnreadCall, scope: Scope): Netns | undefined {
  const path = 'netnsPath' in call ? call.netnsPath : undefined;
  if (path === undefined) {
    return undefined;
  }
  let netns: Netns;
  try {
    netns = scope.node.openNetns(path);
  } catch {
    return undefined;
  }
  if (isRefused(call, netns, scope)) {
    netns[Symbol.dispose]();
    if (call.verb === 'DEL') {
      return undefined;
    }
    throw new CniError('invalidNetns', `cannot use CNI_NETNS "${path}": it is the plugin's own network namespace`);
  }
  return netns;
}

function isRefused({ verb, env }: UnreadCall, netns: Netns, { node }: Scope): boolean {
  const override = (env['CNI_NETNS_OVERRIDE'] ?? '').toLowerCase();
  return ['ADD', 'DEL'].includes(verb) && override !== '1' && override !== 'true' && netns.isSameAs(node.host);
}

function stdinOf(invocation: Invocation): Stdin {
  try {
    return Stdin.of(invocation.readStdin());
  } catch (error) {
    throw new CniError('ioFailure', `cannot read stdin: ${messageOf(error)}`, { cause: error });
  }
}

function aboutText(plugin: Plugin): string {
  return [
    `${plugin.about}`,
    `CNI protocol versions supported: ${VERSIONS.join(', ')}`,
    '',
    'This program is called by container runtimes. To try it by hand:',
    `  echo '{"cniVersion":"1.1.0","name":"try","type":"${plugin.name}"}' |`,
    `    CNI_COMMAND=STATUS CNI_PATH=/opt/cni/bin ${plugin.name}`,
    '',
  ].join('\n');
}
