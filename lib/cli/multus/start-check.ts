import { CniError, messageOf } from '../../cni/errors.ts';
import { isObject } from '../../cni/json.ts';
import type { Scope } from '../../cni/scope.ts';
import { findChroot } from '../../sys/chroot.ts';
import type { Env, Executed } from '../../sys/execute.ts';
import { nodePath } from './options.ts';

/** An image may be loading from a slow disk. */
const TIMEOUT_MS = 60_000;

/** Where programs of the node, such as Node for scripts, are looked for. */
export const pathOnNode = (hostRoot: string, env: Env): string | undefined =>
  hostRoot === '' ? env['PATH'] : '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Words that run a program of the node, with the libraries of the node. @throws CniError */
export function onNode(hostRoot: string, path: string, env: Env): readonly [string, ...string[]] {
  if (hostRoot === '') {
    return [path];
  }
  const chroot = findChroot(env);
  if (chroot === undefined) {
    throw new CniError('internal', 'cannot run a program of the node: there is no "chroot"');
  }
  return [chroot, hostRoot, nodePath(hostRoot, path)];
}

/**
 * Asks a plugin for its versions, on the node: a program that lacks a library there, or is for another processor, must not
 * be named by any configuration.
 *
 * @param path of the plugin, as this program sees it
 * @throws CniError with what the system says
 */
export async function refuseUnstartable(scope: Scope, hostRoot: string, path: string, env: Env): Promise<void> {
  const [program, ...args] = onNode(hostRoot, path, env);
  let told: Executed;
  try {
    told = await scope.execute({
      path: program,
      args,
      env: { CNI_COMMAND: 'VERSION', LC_ALL: 'C', PATH: pathOnNode(hostRoot, env) },
      stdin: Buffer.alloc(0),
      timeoutMs: TIMEOUT_MS,
    });
  } catch (error) {
    throw unstartable(path, hostRoot, messageOf(error));
  }
  if (told.exitCode !== 0 || !saysVersions(told.stdout.toString('utf8'))) {
    const said = told.stderr.toString('utf8').trim() || told.stdout.toString('utf8').trim();
    throw unstartable(path, hostRoot, said || `exit code ${told.exitCode ?? told.signal}`);
  }
}

function saysVersions(text: string): boolean {
  try {
    const answer: unknown = JSON.parse(text);
    return isObject(answer) && Array.isArray(answer['supportedVersions']);
  } catch {
    return false;
  }
}

const unstartable = (path: string, hostRoot: string, why: string): CniError =>
  new CniError('internal', `cannot install "${nodePath(hostRoot, path)}": it does not start on this node: ${why}`);
