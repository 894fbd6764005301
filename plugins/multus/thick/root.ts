/** Another root for the plugins that are executed, as the Go plugin's daemon has it: in its container, the node's. */
import { type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { CniError } from '../../../lib/cni/errors.ts';
import type { Plugin } from '../../../lib/cni/plugin.ts';
import { type Scope, scopeWith } from '../../../lib/cni/scope.ts';
import { findChroot } from '../../../lib/sys/chroot.ts';
import type { Env, Executed, Execution } from '../../../lib/sys/execute.ts';
import { RUNTIME_CACHE } from '../places.ts';

/** Where plugins are executed, and what calls need for it. */
export interface Root {
  /** of calls */
  readonly env: Env;
  /** The same plugin, which executes others there. */
  holds(plugin: Plugin): Plugin;
}

/** They are executed where the agent is. */
export const OWN_ROOT: Root = { env: {}, holds: (plugin) => plugin };

/** chroot(8) itself has failed. */
const FAILURES = [125, 126, 127];

export interface RootParts {
  /** '' for the agent's own */
  readonly folder: string;
  /** of the agent */
  readonly env: Env;
  readonly log: (line: string) => void;
  /** where plugins keep what they know of attachments */
  readonly records?: string;
}

/**
 * The plugins of this build run in the agent, unless they would keep their records elsewhere than the node does: then
 * they are executed like all others.
 *
 * @throws CniError where no program can be executed in another root
 */
export function openRoot({ folder, env, log, records = RUNTIME_CACHE }: RootParts): Root {
  if (folder === '' || folder === '/') {
    return OWN_ROOT;
  }
  if (statsOf(folder)?.isDirectory() !== true) {
    log(`passes over "chrootDir": there is no folder "${folder}" here, so plugins run where the agent does`);
    return OWN_ROOT;
  }
  const chroot = findChroot(env);
  if (chroot === undefined) {
    throw new CniError('internal', `cannot execute plugins in "${folder}": there is no "chroot"`);
  }
  const [here, there] = [statsOf(records), statsOf(join(folder, records))];
  const hasRecords = here !== undefined && here.dev === there?.dev && here.ino === there.ino;
  if (!hasRecords) {
    log(`executes its own plugins too: "${records}" is another folder in "${folder}" than here`);
  }
  const within = (scope: Scope): Scope =>
    scopeWith(scope, (own) => ({ execute: async (execution) => executeIn(folder, chroot, own, execution) }));
  return {
    env: hasRecords ? {} : { BRAID_EXEC_DELEGATES: '1' },
    holds: (plugin) => ({
      ...plugin,
      add: (call, scope) => plugin.add(call, within(scope)),
      del: (call, scope) => plugin.del(call, within(scope)),
      check: (call, scope) => plugin.check(call, within(scope)),
      status: (call, scope) => plugin.status(call, within(scope)),
      gc: (call, scope, valid) => plugin.gc(call, within(scope), valid),
    }),
  };
}

/** @throws Error as for a program that cannot be started, when it is not there or being written */
async function executeIn(
  folder: string,
  chroot: string,
  own: Scope,
  { path, args = [], ...execution }: Execution,
): Promise<Executed> {
  const executed = await own.execute({ ...execution, path: chroot, args: [folder, path, ...args] });
  const said = executed.stderr.toString('utf8').trim();
  if (FAILURES.includes(executed.exitCode ?? 0) && executed.stdout.length === 0 && /^(\S*\/)?chroot: /.test(said)) {
    throw Object.assign(new Error(said), /text file busy/i.test(said) ? { code: 'ETXTBSY' } : {});
  }
  return executed;
}

function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
