import { type LinkSetup, setUpLink } from '../link/batches.ts';
import { findLinks } from '../link/finder.ts';
import type { LinkFacts } from '../link/observe.ts';
import { removeLinks } from '../link/remover.ts';
import type { Request } from '../netlink/conversation.ts';
import type { Netns } from '../netns/netns.ts';
import type { Node } from '../node/node.ts';
import { observed } from '../node/observer.ts';
import { type Clock, clockOf } from '../sys/clock.ts';
import type { Executed, Execution } from '../sys/execute.ts';
import type { Joiner } from '../sys/joiner.ts';
import { bounded } from './errors.ts';
import type { Suite } from './suite.ts';

/** One call: its resources, log and deadline. All waits go through here, so that the call can be cancelled. */
export interface Scope extends Clock {
  readonly node: Node;
  /** plugins of this build */
  readonly suite: Suite;
  /** fires when nobody waits for the call any longer */
  readonly signal: AbortSignal;
  /** The same call without cancellation, for work that must complete: undoing what was done. */
  readonly unending: Scope;
  /** One line on stderr; never a secret. */
  log(line: string): void;
  /**
   * Runs a program to its end.
   *
   * @throws the signal's reason; what `execute` throws
   */
  execute(execution: Execution): Promise<Executed>;
  /** Waits for a round of what several calls want of the same; see Joiner. */
  join<I, O>(joiner: Joiner<I, O>, item: I): Promise<O>;
  /**
   * What must be over before the call may succeed: waits for it, unless the plugin that has called this one waits itself
   * and has something to do meanwhile.
   *
   * @throws what it rejects with
   */
  owe(work: Promise<void>): Promise<void>;
  /** Looks up a link by one of its names; simultaneous look-ups share one list. */
  findLink(netns: Netns, name: string): Promise<LinkFacts | undefined>;
  /**
   * Makes a link. Networks of a pod that overlap share datagrams, in the order of the networks.
   *
   * @param mayOverlap whether the next network may be begun before this one is done
   * @throws as `Conversation.change`
   */
  makeLink(from: Netns, request: Request, mayOverlap: boolean): Promise<void>;
  /**
   * Waits until networks that overlap with this one, and were begun before it, have their links: for a plugin that takes one
   * as a parent, or does something to a device that may be the parent of one.
   */
  linksMade(): Promise<void>;
  /**
   * Sets a link up. Networks of a pod that overlap share datagrams.
   *
   * @throws ErrnoError with the first refusal
   */
  setUpLink(netns: Netns, setup: LinkSetup): Promise<void>;
  /** Deletes a link; simultaneous deletions share one request. */
  removeLink(netns: Netns, index: number): Promise<void>;
  /** Measures a part of the call. */
  span<T>(name: string, work: () => Promise<T>): Promise<T>;
}

export interface ScopeParts {
  readonly node: Node;
  readonly suite: Suite;
  /** gets each line at once, bounded and without a newline */
  readonly log: (line: string) => void;
  readonly signal?: AbortSignal;
}

const NEVER: AbortSignal = new AbortController().signal;

export function makeScope({ node, suite, log, signal = NEVER }: ScopeParts): Scope {
  let unending: Scope | undefined;
  const scope: Scope = {
    node,
    suite,
    signal,
    get unending() {
      unending ??= signal === NEVER ? scope : makeScope({ node, suite, log });
      return unending;
    },
    log: (line) => log(bounded(line)),
    ...clockOf(signal),
    execute: (execution) => node.execute(execution, signal),
    join: (joiner, item) => joiner.join(item),
    owe: (work) => work,
    findLink: (netns, name) =>
      node.gather(`find links of ${netns.identity}`, name, (all) => findLinks(netns.netlink, all)),
    makeLink: (from, request) => from.netlink.change(request),
    linksMade: () => Promise.resolve(),
    setUpLink: (netns, setup) => setUpLink(netns, setup),
    removeLink: (netns, index) =>
      observed(node.observe, 'link removal', async () => {
        await node.gather(`remove links of ${netns.identity}`, index, (all) => removeLinks(netns.netlink, all));
      }),
    span: (name, work) => observed(node.observe, name, work),
  };
  return scope;
}

/**
 * The same scope with the members that `change` replaces, also in `unending`. All members are its own: scopes that inherit
 * from each other are slow to make and to use.
 */
export function scopeWith(scope: Scope, change: (scope: Scope) => Partial<Scope>): Scope {
  const { node, suite, signal, log, now, sleep, execute, join, owe, span } = scope;
  const { findLink, makeLink, linksMade, setUpLink, removeLink } = scope;
  let unending: Scope | undefined;
  const derived: Scope = {
    ...{ node, suite, signal, log, now, sleep, execute, join, owe, span },
    ...{ findLink, makeLink, linksMade, setUpLink, removeLink },
    ...change(scope),
    get unending() {
      unending ??= scope.unending === scope ? derived : scopeWith(scope.unending, change);
      return unending;
    },
  };
  return derived;
}
