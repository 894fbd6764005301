import type { Node } from '../node/node.ts';
import type { Plugin } from './plugin.ts';
import { type Invocation, type Outcome, runPlugin } from './run.ts';
import { makeScope } from './scope.ts';
import type { Suite } from './suite.ts';

/** A process that serves calls. */
export interface Server {
  readonly node: Node;
  readonly suite: Suite;
}

/**
 * Serves one call among others, with its own scope; the outcome's stderr has all its log lines.
 *
 * @param signal fires when the caller has gone: the call ends and undoes what it has done
 */
export async function serve(
  { node, suite }: Server,
  plugin: Plugin,
  invocation: Invocation,
  signal?: AbortSignal,
): Promise<Outcome> {
  const lines: string[] = [];
  const scope = makeScope({ node, suite, log: (line) => lines.push(`${line}\n`), ...(signal && { signal }) });
  const outcome = await runPlugin(plugin, invocation, scope);
  return { ...outcome, stderr: lines.join('') + outcome.stderr };
}
