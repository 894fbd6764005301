import { listDevices } from '../../lib/link/device.ts';
import type { LinkPlan } from '../../lib/link/link.ts';
import { findLinkByIndex, type LinkFacts } from '../../lib/link/observe.ts';
import { explained, holderOf } from '../../lib/link/refusal.ts';
import type { Conversation } from '../../lib/netlink/conversation.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { parentFault } from './plan.ts';

/** What the kernel was asked for. */
interface Asked {
  /** a socket in the parent's namespace */
  readonly from: Conversation;
  readonly target: Netns;
  readonly plan: LinkPlan;
}

/** Kinds of links that take the frames of the one below before a macvlan could. */
const RIVALS = ['ipvlan', 'ipvtap', 'macsec'];

/**
 * Does something, and when the kernel refuses it says why, as far as that can be seen afterwards.
 *
 * @param codes of the refusals that have a reason here
 */
export async function withReason<T>(asked: Asked, codes: readonly string[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw await explained(error, async (code) => (codes.includes(code) ? reasonOf(code, asked) : undefined));
  }
}

/** All that creating a macvlan is refused with. */
export const CREATION = ['EEXIST', 'EBUSY', 'EINVAL', 'ENODEV', 'EADDRNOTAVAIL', 'EADDRINUSE'];
/** Going up, its address is compared with those of its parent and its siblings. */
export const GOING_UP = ['EADDRINUSE', 'ENETDOWN'];

async function reasonOf(code: string, { from, target, plan }: Asked): Promise<string | undefined> {
  if (code === 'EEXIST') {
    return holderOf(target.netlink, plan.name);
  }
  const parent = await findLinkByIndex(from, plan.parent.index);
  if (parent === undefined) {
    return `parent "${plan.parent.name}" is gone`;
  }
  const fault = parentFault(parent) ?? (await faultNow(code, parent, { from, target, plan }));
  return fault === undefined ? undefined : `parent "${parent.name}" ${fault}`;
}

async function faultNow(code: string, parent: LinkFacts, { from, plan }: Asked): Promise<string | undefined> {
  switch (code) {
    case 'EBUSY':
      return rivalOf(from, parent);
    case 'EINVAL':
      return modeFault(parent, plan);
    case 'EADDRNOTAVAIL':
      return `takes no child with hardware address ${plan.mac}`;
    case 'EADDRINUSE':
      return parent.mac === plan.mac
        ? `has hardware address ${parent.mac} itself`
        : `has another macvlan with hardware address ${plan.mac}`;
    default:
      return parent.isUp ? undefined : 'is down';
  }
}

/** Its children may be in other namespaces, where they cannot be seen. */
function modeFault(parent: LinkFacts, { mode, mtu }: LinkPlan): string {
  if (mtu !== undefined && mtu > parent.mtu) {
    return `has MTU ${parent.mtu} by now, less than ${mtu}`;
  }
  return mode === 'passthru'
    ? 'has other macvlans, and one in mode "passthru" must be the only one'
    : 'has a macvlan in mode "passthru", which is the only one that it can have';
}

async function rivalOf(from: Conversation, parent: LinkFacts): Promise<string | undefined> {
  const links = await listDevices(from);
  const master = links.find(({ index }) => index === parent.masterIndex);
  if (master !== undefined) {
    return `is enslaved to "${master.name}"`;
  }
  const rival = links.find(({ kind, parentIndex }) => RIVALS.includes(kind) && parentIndex === parent.index);
  return rival === undefined
    ? 'gives its frames to something else: an ipvlan, a macsec, a bridge or a bond'
    : `gives its frames to ${rival.kind} "${rival.name}"`;
}
