import { CniError, messageOf } from '../cni/errors.ts';
import { type Mac, macBytes } from '../net/mac.ts';
import {
  encodeLink,
  IFF_UP,
  type LinkAttributes,
  MacvlanTable,
  RTM_DELLINK,
  RTM_NEWLINK,
  RTM_SETLINK,
} from '../netlink/codec/link.ts';
import type { Conversation } from '../netlink/conversation.ts';
import { hasErrno, NoAnswer } from '../netlink/errno.ts';
import type { Netns } from '../netns/netns.ts';
import { setMac } from './device.ts';
import { findLink, findLinkByIndex, type LinkFacts } from './observe.ts';

const NLM_F_CREATE_EXCL = 0x600;

/** <linux/if_link.h> MACVLAN_MODE_… */
export const MACVLAN_MODES = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;
export type MacvlanMode = keyof typeof MACVLAN_MODES;

/** What a link should be. ADD makes it, CHECK compares the kernel with it. */
export interface LinkPlan {
  readonly name: string;
  readonly parent: { readonly index: number; readonly name: string };
  readonly mode: MacvlanMode;
  /** undefined: as the parent */
  readonly mtu: number | undefined;
  /** undefined: the kernel's choice; in passthru mode it is that of the parent */
  readonly mac: Mac | undefined;
  /** undefined or 0: the kernel's default */
  readonly broadcastQueueLength: number | undefined;
}

/**
 * Creates the link in `target`, where it is born: it never shows in the parent's namespace.
 *
 * Newer kernels look for a link of the same name where the link is to be; older ones where the request is made. There
 * the link is born under another name and renamed.
 *
 * @param from a socket in the parent's namespace
 * @param token what makes that other name this attachment's own, so that DEL finds it after a crash
 * @param made called with the link's name as soon as there is a link under it
 * @throws ErrnoError EEXIST when the name is taken in `target`; CniError when the link is not what was asked for
 */
export async function createLink(
  from: Conversation,
  target: Netns,
  plan: LinkPlan,
  token: string,
  made: (name: string) => void,
): Promise<LinkFacts> {
  try {
    await requestLink(from, target, plan, plan.name);
    made(plan.name);
  } catch (error) {
    if (!(error instanceof NoAnswer) && !hasErrno(error, 'EEXIST')) {
      throw error;
    }
    const there = await findLink(target.netlink, plan.name);
    if (isOurs(there, plan)) {
      made(plan.name); // it was made, and the answer lost
    } else if (there !== undefined || error instanceof NoAnswer) {
      throw error;
    } else {
      await createAndRename(from, target, plan, temporaryName(token), made);
    }
  }
  const created = await findLink(target.netlink, plan.name);
  if (created === undefined) {
    throw new Error(`cannot find link "${plan.name}" just created`);
  }
  const link = await wearing(target.netlink, created, plan);
  const fault = linkFault(link, plan);
  if (fault !== undefined) {
    throw new CniError('internal', `cannot create macvlan "${plan.name}": the one that the kernel made ${fault}`);
  }
  return link;
}

/**
 * How a link differs from what it should be.
 *
 * @returns a phrase, or undefined when it is as it should be
 */
export function linkFault(
  link: LinkFacts,
  { mode, mac, mtu }: Pick<LinkPlan, 'mode' | 'mac' | 'mtu'>,
): string | undefined {
  if (link.kind !== 'macvlan') {
    return `is a ${link.kind || 'physical device'}, not a macvlan`;
  }
  if (link.macvlanMode !== MACVLAN_MODES[mode]) {
    return `does not have mode "${mode}"`;
  }
  if (mac !== undefined && link.mac !== mac) {
    return `has hardware address ${link.mac}, not ${mac}`;
  }
  return mtu === undefined || link.mtu === mtu ? undefined : `has MTU ${link.mtu}, not ${mtu}`;
}

/**
 * In passthru mode the kernel makes a link with its parent's address, whatever is asked for. It takes another one
 * afterwards, which the parent has too until the link is gone.
 */
async function wearing(netlink: Conversation, link: LinkFacts, { mac, mode, parent }: LinkPlan): Promise<LinkFacts> {
  if (mode !== 'passthru' || mac === undefined || link.mac === mac) {
    return link;
  }
  try {
    await setMac(netlink, link, mac);
  } catch (error) {
    throw new CniError('internal', `${messageOf(error)}: in mode "passthru" it is that of parent "${parent.name}"`, {
      cause: error,
    });
  }
  return (await findLinkByIndex(netlink, link.index)) ?? link;
}

/** The name under which an older kernel makes a link before it is renamed. */
export const temporaryName = (token: string): string => `veth${fnv1a(token).toString(16).padStart(8, '0')}`;

/** @throws ErrnoError */
export async function setUp(
  netlink: Conversation,
  link: { readonly index: number; readonly name: string },
): Promise<void> {
  const body = encodeLink({ index: link.index, flags: IFF_UP, change: IFF_UP }, {});
  await netlink.change({ type: RTM_NEWLINK, body, operation: `set link "${link.name}" up` });
}

/**
 * Deletes a link. Waits for a grace period of the kernel, some 20 ms.
 *
 * @returns false when it was gone already
 * @throws ErrnoError
 */
export async function deleteLink(netlink: Conversation, index: number): Promise<boolean> {
  try {
    await netlink.change({
      isSlow: true,
      type: RTM_DELLINK,
      body: encodeLink({ index }, {}),
      operation: `delete link ${index}`,
      whenDone: 'ENODEV',
    });
    return true;
  } catch (error) {
    if (hasErrno(error, 'ENODEV')) {
      return false;
    }
    throw error;
  }
}

/**
 * Deletes all links of a group in one request, so that they share one grace period.
 *
 * @throws ErrnoError ENODEV when the group is empty
 */
export function deleteGroup(netlink: Conversation, group: number): Promise<void> {
  const body = encodeLink({}, { group });
  const operation = `delete the links of group ${group}`;
  return netlink.change({ isSlow: true, type: RTM_DELLINK, body, operation, whenDone: 'ENODEV' });
}

/** @throws ErrnoError ENODEV when the link is gone */
export async function setGroup(netlink: Conversation, index: number, group: number): Promise<void> {
  const body = encodeLink({ index }, { group });
  await netlink.change({ type: RTM_SETLINK, body, operation: `put link ${index} into group ${group}` });
}

/** By its hardware address, which is ours alone: a link of the same name may have been there before. */
const isOurs = (link: LinkFacts | undefined, plan: LinkPlan): boolean =>
  link?.kind === 'macvlan' && plan.mac !== undefined && link.mac === plan.mac;

async function createAndRename(
  from: Conversation,
  target: Netns,
  plan: LinkPlan,
  name: string,
  made: (name: string) => void,
): Promise<void> {
  await requestLink(from, target, plan, name);
  made(name);
  const link = await findLink(target.netlink, name);
  if (link === undefined) {
    throw new Error(`cannot find link "${name}" just created`);
  }
  const body = encodeLink({ index: link.index }, { ifName: plan.name });
  await target.netlink.change({ type: RTM_SETLINK, body, operation: `rename link "${name}" to "${plan.name}"` });
  made(plan.name);
}

async function requestLink(from: Conversation, target: Netns, plan: LinkPlan, name: string): Promise<void> {
  await from.change({
    type: RTM_NEWLINK,
    flags: NLM_F_CREATE_EXCL,
    body: encodeLink({}, attributesOf(plan, name, target.descriptor)),
    operation: `create macvlan "${plan.name}" on "${plan.parent.name}"`,
  });
}

function attributesOf(plan: LinkPlan, name: string, netNsFd: number): LinkAttributes {
  const data = MacvlanTable.encode({
    mode: MACVLAN_MODES[plan.mode],
    ...(plan.broadcastQueueLength ? { bcQueueLen: plan.broadcastQueueLength } : {}),
  });
  return {
    link: plan.parent.index,
    ...(plan.mac === undefined ? {} : { address: macBytes(plan.mac) }),
    ifName: name,
    ...(plan.mtu === undefined ? {} : { mtu: plan.mtu }),
    netNsFd,
    linkInfo: { kind: 'macvlan', data: Buffer.concat(data) },
  };
}

/** FNV-1a, 32 bits: names differ, and DEL finds the same one again. */
function fnv1a(text: string): number {
  return Buffer.from(text).reduce((hash, byte) => Math.imul(hash ^ byte, 0x0100_0193) >>> 0, 0x811c_9dc5);
}
