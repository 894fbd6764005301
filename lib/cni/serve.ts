import type { Node } from '../node/node.ts';
import { observed } from '../node/observer.ts';
import type { Env } from '../sys/execute.ts';
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
  /** the same of DELs */
  readonly deletions: Places;
  /** the same of calls that change nothing */
  readonly questions: Places;
  /** hears how many calls there are */
  readonly crowd?: Crowd | undefined;
  /** does a call, and hears of it; undefined: nothing is measured */
  readonly hear?: ((called: Called, work: () => Promise<Outcome>) => Promise<Outcome>) | undefined;
}

/** Makes room for many calls, and gives it back. */
export interface Crowd {
  /** A call has come; it may have to wait for others. */
  came(isWaiting: boolean): void;
  left(): void;
}

/** Which plugin is called, and how. */
export interface Called {
  readonly name: string;
  readonly env: Env;
}

/**
 * Calls that a process serves at the same time. More are not faster, since they wait for the kernel, and take memory: 128
 * pods with 16 networks each 383 MiB all at once, 257 MiB by sixteens.
 */
const AT_ONCE = 16;

/** DELs do little but wait for the kernel to let links go, and all that wait share its grace periods. */
const DELETIONS_AT_ONCE = 32;

/** A runtime that hears nothing of STATUS takes the node for broken, however long its ADDs wait for somebody else. */
const QUESTIONS_AT_ONCE = 16;

export const makeServer = (node: Node, suite: Suite, crowd?: Crowd): Server => ({
  node,
  suite,
  crowd,
  places: new Places(AT_ONCE),
  deletions: new Places(DELETIONS_AT_ONCE),
  questions: new Places(QUESTIONS_AT_ONCE),
});

/** Does a call so that who hears of calls hears of it, from here to its outcome. */
export const heard = ({ hear }: Server, called: Called, work: () => Promise<Outcome>): Promise<Outcome> =>
  hear === undefined ? work() : hear(called, work);

/** The lock of a node that calls for one sandbox take in turn. */
export const sandboxLock = (containerId: string): string => `sandbox ${containerId}`;

/**
 * Serves one call among others, with its own scope; the outcome's stderr has all its log lines.
 *
 * @param signal fires when the caller has gone: the call ends and undoes what it has done
 * @throws its reason, when the call has not begun by then
 */
export async function serve(
  server: Server,
  plugin: Plugin,
  invocation: Invocation,
  signal?: AbortSignal,
): Promise<Outcome> {
  const { node, suite, crowd } = server;
  const places = placesFor(invocation.env['CNI_COMMAND'], server);
  using leaving = new DisposableStack();
  crowd?.came(places.isFull);
  leaving.defer(() => crowd?.left());
  using _ = await observed(node.observe, 'wait for a place', () => places.take(signal));
  const lines: string[] = [];
  const scope = makeScope({ node, suite, log: (line) => lines.push(`${line}\n`), ...(signal && { signal }) });
  const outcome = await runPlugin(plugin, invocation, scope);
  return { ...outcome, stderr: lines.join('') + outcome.stderr };
}

function placesFor(verb: string | undefined, { places, deletions, questions }: Server): Places {
  switch (verb) {
    case 'DEL':
      return deletions;
    case 'STATUS':
    case 'VERSION':
      return questions;
    default:
      return places;
  }
}
