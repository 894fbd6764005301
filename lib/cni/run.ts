import type { Netns } from '../netns/netns.ts';
import { checkEnvironment, readCall, validAttachments } from './call.ts';
import { readConf } from './config.ts';
import { asCniError, bounded, CniError, messageOf } from './errors.ts';
import { compact, type JsonObject, pretty, withPlainIntegers } from './json.ts';
import type { Call, Env, Host, Plugin, PrintedResult } from './plugin.ts';
import { formatResult, type Result } from './result.ts';
import { NEWEST, VERSIONS, type Version } from './versions.ts';

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

/** Runs one call of a plugin. Whatever happens, the outcome has at most one document on stdout. */
export async function runPlugin(plugin: Plugin, invocation: Invocation, host: Host): Promise<Outcome> {
  try {
    const { env } = invocation;
    if ((env['CNI_COMMAND'] ?? '') === '' && plugin.about !== '') {
      return { stdout: '', stderr: aboutText(plugin), exitCode: 0 };
    }
    checkEnvironment(env);
    if (env['CNI_COMMAND'] === 'VERSION') {
      return done(`${compact({ cniVersion: NEWEST, supportedVersions: VERSIONS })}\n`);
    }
    return done(await dispatch(plugin, readCall(env, stdinOf(invocation)), host));
  } catch (error) {
    return { stdout: errorText(error), stderr: '', exitCode: 1 };
  }
}

/** The error object as it is printed. */
export function errorText(error: unknown): string {
  const { code, message, details } = asCniError(error);
  return pretty({ code, msg: bounded(message), ...(details ? { details: bounded(details) } : {}) });
}

const done = (stdout: string): Outcome => ({ stdout, stderr: '', exitCode: 0 });

async function dispatch(plugin: Plugin, call: Call<JsonObject>, host: Host): Promise<string> {
  using _sandbox = openSandbox(call, host);
  switch (call.verb) {
    case 'ADD':
      return printed(await plugin.add(configured(plugin, call), host), call.version);
    case 'DEL':
      await plugin.del(call, host);
      return '';
    case 'CHECK':
      await plugin.check(configured(plugin, call), host);
      return '';
    case 'STATUS':
      await plugin.status(configured(plugin, call), host);
      return '';
    case 'GC':
      await plugin.gc(configured(plugin, call), host, validAttachments(call.document));
      return '';
    case 'VERSION':
      return '';
  }
}

/** The call, its configuration read. */
export function configured(plugin: Plugin, call: Call<JsonObject>): Call<unknown> {
  const known = confs.get(call.document) ?? new Map<Plugin, unknown>();
  confs.set(call.document, known);
  if (!known.has(plugin)) {
    known.set(plugin, readConf(plugin.conf, withPlainIntegers(call.document, call.stdin.toString('utf8'))));
  }
  return { ...call, conf: known.get(plugin) };
}

/** A plugin that foresaw a call has read its configuration. */
const confs = new WeakMap<JsonObject, Map<Plugin, unknown>>();

function printed(outcome: Result | PrintedResult, version: Version): string {
  const { result, version: as } = 'result' in outcome ? outcome : { result: outcome, version };
  return pretty(formatResult(result, as));
}

/**
 * Holds the sandbox open for the whole call, so that delegates within it share the handle. A path that does not open is
 * for the plugin to judge.
 *
 * A recycled /proc/<pid> path can lead to the host's own namespace: nothing is done there. DEL looks for the pod's
 * elsewhere.
 *
 * @throws CniError invalidNetns
 */
function openSandbox(call: Call<unknown>, host: Host): Netns | undefined {
  if (call.netnsPath === '') {
    return undefined;
  }
  let netns: Netns;
  try {
    netns = host.openNetns(call.netnsPath);
  } catch {
    return undefined;
  }
  if (isRefused(call, netns, host)) {
    netns[Symbol.dispose]();
    if (call.verb === 'DEL') {
      return undefined;
    }
    throw new CniError(
      'invalidNetns',
      `cannot use CNI_NETNS "${call.netnsPath}": it is the plugin's own network namespace`,
    );
  }
  return netns;
}

function isRefused({ verb, env }: Call<unknown>, netns: Netns, host: Host): boolean {
  const override = (env['CNI_NETNS_OVERRIDE'] ?? '').toLowerCase();
  return ['ADD', 'DEL'].includes(verb) && override !== '1' && override !== 'true' && netns.isSameAs(host.netns);
}

function stdinOf(invocation: Invocation): Buffer {
  try {
    return invocation.readStdin();
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
