/** What calls want of the links of one namespace at the same time. In an agent the kernel does it while other calls go on. */
import type { Conversation, Request } from '../netlink/conversation.ts';
import type { ErrnoError } from '../netlink/errno.ts';
import type { Netns, Sysctl } from '../netns/netns.ts';

/** How a link is set up. */
export interface LinkSetup {
  /** best effort, before all else */
  readonly sysctls: readonly Sysctl[];
  /** in this order */
  readonly requests: readonly Request[];
}

type Outcomes = readonly PromiseSettledResult<void>[];

/** @returns for each whether it is made, or why it is not */
export async function makeLinks(from: Conversation, requests: readonly Request[]): Promise<Outcomes> {
  return (await from.changeAll(requests)).map(outcomeOf);
}

/** @throws ErrnoError with the first refusal */
export async function setUpLink(netns: Netns, setup: LinkSetup): Promise<void> {
  const [outcome] = await setUpLinks(netns, [setup]);
  if (outcome?.status === 'rejected') {
    throw outcome.reason;
  }
}

/** @returns for each whether it is set up, or the first refusal */
export async function setUpLinks(netns: Netns, setups: readonly LinkSetup[]): Promise<Outcomes> {
  netns.writeSysctls(setups.flatMap(({ sysctls }) => sysctls));
  const refusals = await netns.netlink.changeAll(setups.flatMap(({ requests }) => requests));
  let end = 0;
  return setups.map(({ requests }) => {
    const begin = end;
    end += requests.length;
    return outcomeOf(refusals.slice(begin, end).find((one) => one !== undefined));
  });
}

const outcomeOf = (refusal: ErrnoError | undefined): PromiseSettledResult<void> =>
  refusal === undefined ? { status: 'fulfilled', value: undefined } : { status: 'rejected', reason: refusal };
