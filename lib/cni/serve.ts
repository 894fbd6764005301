import type { Node } from '../node/node.ts';
import { Places } from '../sys/places.ts';
import type { Plugin } from './plugin.ts';
import { type Invocation, type Outcome, runPlugin } from './run.ts';
import { makeScope } from './scope.ts';
import type { Suite } from './suite.ts';

/** A process that serves calls. */
export interface Server {
  readonly node: Node;
  readonly suite: Suite;
  /** of calls that are served at the same time; others wait */
  readonly places: Places;
}

/**
 * Calls that a process serves at the same time. More are not faster, since they wait for the kernel, and take memory: 128
 * pods with 16 networks each 383 MiB all at once, 257 MiB by sixteens.
 */
const AT_ONCE = 16;

export const makeServer = (node: Node, suite: Suite): Server => ({ node, suite, places: new Places(AT_ONCE) });

/**
 * Serves one call among others, with its own scope; the outcome's stderr has all its log lines.
 *
 * @param signal fires when the caller has gone: the call ends and undoes what it has done
 * @throws its reason, when the call has not begun by then
 */
export async function serve(
  { node, suite, places }: Server,
  plugin: Plugin,
  invocation: Invocation,
  signal?: AbortSignal,
): Promise<Outcome> {
  using _ = await places.take(signal);
  const lines: string[] = [];
  const scope = makeScope({ node, suite, log: (line) => lines.push(`${line}\n`), ...(signal && { signal }) });
  const outcome = await runPlugin(plugin, invocation, scope);
  return { ...outcome, stderr: lines.join('') + outcome.stderr };
}
