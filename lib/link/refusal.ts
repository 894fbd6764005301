import type { Conversation } from '../netlink/conversation.ts';
import { ErrnoError, NoAnswer } from '../netlink/errno.ts';
import type { Netns } from '../netns/netns.ts';
import { listDevices } from './device.ts';
import type { LinkPlan } from './link.ts';
import { findLink, findLinkByIndex, type LinkFacts } from './observe.ts';
import { parentFault } from './parent.ts';

/** The kernel has refused something, and it was found out why. It has the code of the kernel's error. */
export class Refusal extends Error {
  /** `EEXIST` */
  readonly code: string;

  constructor(cause: ErrnoError, why: string) {
    super(`${cause.message}: ${why}`, { cause });
    this.name = 'Refusal';
    this.code = cause.code;
  }
}

/**
 * Adds to a refusal of the kernel what can be seen afterwards: an errno alone leaves the reader to guess.
 *
 * @param why looks, and changes nothing; undefined when it sees nothing. That it fails does not matter
 * @returns the error to throw: the same one when it is no refusal, or there is nothing to add
 */
export async function explain(error: unknown, why: (code: string) => Promise<string | undefined>): Promise<unknown> {
  if (!(error instanceof ErrnoError) || error instanceof NoAnswer) {
    return error;
  }
  const found = await why(error.code).catch(() => undefined);
  return found === undefined ? error : new Refusal(error, found);
}

/**
 * Who has a name in a namespace: a link that is called so, or has it as one of its alternative names.
 *
 * @returns a sentence, or undefined when nothing has it
 * @throws ErrnoError
 */
export async function holderOf(netlink: Conversation, name: string): Promise<string | undefined> {
  const link = await findLink(netlink, name);
  if (link === undefined) {
    return undefined;
  }
  return link.name === name
    ? `"${name}" is taken there by a ${link.kind || 'device'}`
    : `"${name}" is taken there, as an alternative name of link "${link.name}"`;
}

/** What the kernel was asked for: a link on a parent. */
export interface AskedLink<A> {
  /** a socket in the parent's namespace */
  readonly from: Conversation;
  readonly target: Netns;
  readonly plan: LinkPlan<A>;
}

/** What the kernel refuses links of a kind with, and why. */
export interface Refusals<A> {
  /** codes of errors when a link is made */
  readonly creation: readonly string[];
  /** the same when it gets addresses and goes up */
  readonly goingUp: readonly string[];
  /** kinds of links that take the frames of the one below, so that none are left for these */
  readonly rivals: readonly string[];
  /**
   * What of this kind may be the reason, where the parent itself is well and nothing else has its frames.
   *
   * @returns a phrase about the parent, or undefined
   */
  why(code: string, parent: LinkFacts, plan: LinkPlan<A>): string | undefined;
}

/** Makes a link, or sets one up, and when the kernel refuses says why, as far as that can be seen afterwards. */
export async function withReason<A, T>(
  asked: AskedLink<A>,
  refusals: Refusals<A>,
  step: 'creation' | 'goingUp',
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw await explain(error, async (code) =>
      refusals[step].includes(code) ? reasonOf(code, asked, refusals) : undefined,
    );
  }
}

async function reasonOf<A>(code: string, asked: AskedLink<A>, refusals: Refusals<A>): Promise<string | undefined> {
  const { from, target, plan } = asked;
  if (code === 'EEXIST') {
    return holderOf(target.netlink, plan.name);
  }
  const parent = await findLinkByIndex(from, plan.parent.index);
  if (parent === undefined) {
    return `parent "${plan.parent.name}" is gone`;
  }
  const fault =
    parentFault(parent) ??
    (code === 'EBUSY' ? await rivalOf(from, parent, refusals) : refusals.why(code, parent, plan)) ??
    (parent.isUp ? undefined : 'is down');
  return fault === undefined ? undefined : `parent "${parent.name}" ${fault}`;
}

/** Who has the parent's frames. It may be in another namespace, where it cannot be seen. */
async function rivalOf<A>(from: Conversation, parent: LinkFacts, { rivals }: Refusals<A>): Promise<string> {
  const links = await listDevices(from);
  const master = links.find(({ index }) => index === parent.masterIndex);
  if (master !== undefined) {
    return `is enslaved to "${master.name}"`;
  }
  const rival = links.find(({ kind, parentIndex }) => rivals.includes(kind) && parentIndex === parent.index);
  return rival === undefined
    ? `gives its frames to something else: a bridge, a bond, or a link of kind ${rivals.join(', ')}`
    : `gives its frames to ${rival.kind} "${rival.name}"`;
}
