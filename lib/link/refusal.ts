import type { Conversation } from '../netlink/conversation.ts';
import { ErrnoError, NoAnswer } from '../netlink/errno.ts';
import { findLink } from './observe.ts';

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
export async function explained(error: unknown, why: (code: string) => Promise<string | undefined>): Promise<unknown> {
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
