import { CniError, messageOf } from '../cni/errors.ts';
import { type Mac, macBytes } from '../net/mac.ts';
import {
  encodeLink,
  IFF_UP,
  type LinkAttributes,
  RTM_DELLINK,
  RTM_NEWLINK,
  RTM_SETLINK,
} from '../netlink/codec/link.ts';
import { NLM_F_CREATE, NLM_F_EXCL } from '../netlink/constants.ts';
import type { Conversation, Request } from '../netlink/conversation.ts';
import { type ErrnoError, hasErrno, NoAnswer } from '../netlink/errno.ts';
import type { Netns } from '../netns/netns.ts';
import { setMac } from './device.ts';
import type { Kind } from './kind.ts';
import { findLink, findLinkByIndex, type LinkFacts } from './observe.ts';

const NOTHING = Buffer.alloc(0);

/** What a link should be. ADD makes it, CHECK compares the kernel with it. */
export interface LinkPlan<A> {
  readonly name: string;
  readonly parent: { readonly index: number; readonly name: string };
  readonly kind: Kind<A>;
  readonly attributes: A;
  /** undefined: as the parent */
  readonly mtu: number | undefined;
  /** undefined: the kernel's choice */
  readonly mac: Mac | undefined;
}

/** How a link is made. */
export interface Creation {
  /** Sends a request from the parent's namespace. */
  request(creation: Request): Promise<void>;
  /** where it is born: it never shows in the parent's namespace */
  readonly target: Netns;
  /** makes the name that it may have first this attachment's own, so that DEL finds it after a crash */
  readonly token: string;
  /** Is told the link's name as soon as there is a link under it. */
  made(name: string): void;
  /** Looks up a link in `target`. */
  find(name: string): Promise<LinkFacts | undefined>;
}

/**
 * Creates a link.
 *
 * Newer kernels look for a link of the same name where the link is to be; older ones where the request is made. There
 * the link is born under another name and renamed.
 *
 * @throws ErrnoError EEXIST when the name is taken in the target; CniError when the link is not what was asked for
 */
export async function createLink<A>(plan: LinkPlan<A>, creation: Creation): Promise<LinkFacts> {
  const { target, token, made } = creation;
  try {
    await requestLink(plan, creation, plan.name);
    made(plan.name);
  } catch (error) {
    if (!(error instanceof NoAnswer) && !hasErrno(error, 'EEXIST')) {
      throw error;
    }
    const there = await findLink(target.netlink, plan.name);
    if (isOurs(there, plan) || (error instanceof NoAnswer && isNewborn(there, plan))) {
      made(plan.name); // it was made, and the answer lost
    } else if (there !== undefined || error instanceof NoAnswer) {
      throw error;
    } else {
      await createAndRename(plan, creation, temporaryName(token));
    }
  }
  const created = await creation.find(plan.name);
  if (created === undefined) {
    throw new Error(`cannot find link "${plan.name}" just created`);
  }
  const link = await wearing(target.netlink, created, plan);
  const fault = linkFault(link, plan);
  if (fault !== undefined) {
    throw new CniError(
      'internal',
      `cannot create ${plan.kind.name} "${plan.name}": the one that the kernel made ${fault}`,
    );
  }
  return link;
}

/**
 * How a link differs from what it should be.
 *
 * @returns a phrase, or undefined when it is as it should be
 */
export function linkFault<A>(
  link: LinkFacts,
  { kind, attributes, mac, mtu }: Pick<LinkPlan<A>, 'kind' | 'attributes' | 'mac' | 'mtu'>,
): string | undefined {
  if (link.kind !== kind.name) {
    return `is a ${link.kind || 'physical device'}, not a ${kind.name}`;
  }
  const found = kind.decode(link.kindData ?? NOTHING);
  const other = (Object.keys(found) as (keyof A)[]).find((key) => found[key] !== attributes[key]);
  if (other !== undefined) {
    return `does not have ${String(other)} ${JSON.stringify(attributes[other])}`;
  }
  if (mac !== undefined && link.mac !== mac) {
    return `has hardware address ${link.mac}, not ${mac}`;
  }
  return mtu === undefined || link.mtu === mtu ? undefined : `has MTU ${link.mtu}, not ${mtu}`;
}

/**
 * A link that the kernel has made with its parent's address takes another one afterwards, which the parent has too until
 * the link is gone.
 */
async function wearing<A>(netlink: Conversation, link: LinkFacts, plan: LinkPlan<A>): Promise<LinkFacts> {
  const { mac, kind, attributes, parent } = plan;
  if (mac === undefined || link.mac === mac || !kind.isBornWithParentMac?.(attributes)) {
    return link;
  }
  try {
    await setMac(netlink, link, mac);
  } catch (error) {
    throw new CniError('internal', `${messageOf(error)}: it is that of parent "${parent.name}" too`, { cause: error });
  }
  return (await findLinkByIndex(netlink, link.index)) ?? link;
}

/** The name under which an older kernel makes a link before it is renamed. */
export const temporaryName = (token: string): string => `veth${fnv1a(token).toString(16).padStart(8, '0')}`;

/** A link that is to be set up. */
export interface DownLink {
  readonly index: number;
  readonly name: string;
  /** the alias that it gets with the same request; undefined leaves it as it is */
  readonly mark?: string;
}

/** @throws ErrnoError */
export const setUp = (netlink: Conversation, link: DownLink): Promise<void> => netlink.change(settingUp(link));

export function settingUp(link: DownLink): Request {
  const attributes = link.mark === undefined ? {} : { ifAlias: link.mark };
  const body = encodeLink({ index: link.index, flags: IFF_UP, change: IFF_UP }, attributes);
  return { type: RTM_NEWLINK, body, operation: `set link "${link.name}" up` };
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

/** @throws ErrnoError ENODEV when the link is gone */
export const setGroup = (netlink: Conversation, index: number, group: number): Promise<void> =>
  netlink.change(puttingIntoGroup(index, group));

const puttingIntoGroup = (index: number, group: number): Request => ({
  type: RTM_SETLINK,
  body: encodeLink({ index }, { group }),
  operation: `put link ${index} into group ${group}`,
});

/**
 * Puts links into a group and deletes it, with one datagram: they share one grace period.
 *
 * @returns for each link, and at last for the group, why the kernel refuses it: ENODEV for a link that is gone, and for a
 * group without any
 */
export function deleteAsGroup(
  netlink: Conversation,
  indexes: readonly number[],
  group: number,
): Promise<readonly (ErrnoError | undefined)[]> {
  const puts = indexes.map((index) => puttingIntoGroup(index, group));
  const operation = `delete the links of group ${group}`;
  const body = encodeLink({}, { group });
  return netlink.changeAll([...puts, { isSlow: true, type: RTM_DELLINK, body, operation, whenDone: 'ENODEV' }]);
}

/** By its hardware address, which is ours alone: a link of the same name may have been there before. */
const isOurs = <A>(link: LinkFacts | undefined, plan: LinkPlan<A>): boolean =>
  link?.kind === plan.kind.name && plan.mac !== undefined && link.mac === plan.mac;

/** Where all have their parent's address: what nobody has set up yet is what was just asked for. */
const isNewborn = <A>(link: LinkFacts | undefined, { kind, parent }: LinkPlan<A>): boolean =>
  kind.sharesMac && link?.kind === kind.name && link.parentIndex === parent.index && !link.isUp;

async function createAndRename<A>(plan: LinkPlan<A>, creation: Creation, name: string): Promise<void> {
  const { target, made } = creation;
  await requestLink(plan, creation, name);
  made(name);
  const link = await findLink(target.netlink, name);
  if (link === undefined) {
    throw new Error(`cannot find link "${name}" just created`);
  }
  const body = encodeLink({ index: link.index }, { ifName: plan.name });
  await target.netlink.change({ type: RTM_SETLINK, body, operation: `rename link "${name}" to "${plan.name}"` });
  made(plan.name);
}

async function requestLink<A>(plan: LinkPlan<A>, { request, target }: Creation, name: string): Promise<void> {
  await request({
    type: RTM_NEWLINK,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: encodeLink({}, attributesOf(plan, name, target.descriptor)),
    operation: `create ${plan.kind.name} "${plan.name}" on "${plan.parent.name}"`,
  });
}

const attributesOf = <A>(plan: LinkPlan<A>, name: string, netNsFd: number): LinkAttributes => ({
  link: plan.parent.index,
  ...(plan.mac === undefined ? {} : { address: macBytes(plan.mac) }),
  ifName: name,
  ...(plan.mtu === undefined ? {} : { mtu: plan.mtu }),
  netNsFd,
  linkInfo: { kind: plan.kind.name, data: Buffer.concat(plan.kind.encode(plan.attributes)) },
});

/** FNV-1a, 32 bits: names differ, and DEL finds the same one again. */
function fnv1a(text: string): number {
  return Buffer.from(text).reduce((hash, byte) => Math.imul(hash ^ byte, 0x0100_0193) >>> 0, 0x811c_9dc5);
}
