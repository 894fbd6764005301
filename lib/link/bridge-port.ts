import {
  type BridgePort,
  decodePort,
  differingPortSettings,
  encodePort,
  encodePortQuery,
  type PortVlan,
} from '../netlink/codec/bridge.ts';
import { RTM_DELLINK, RTM_GETLINK, RTM_SETLINK } from '../netlink/codec/link.ts';
import type { Conversation } from '../netlink/conversation.ts';

interface Named {
  readonly index: number;
  readonly name: string;
}

/**
 * What a bridge keeps of a link that is one of its ports, as the kernel told it.
 *
 * @returns undefined when it is a port of none
 * @throws ErrnoError
 */
export async function savePort(netlink: Conversation, index: number): Promise<Buffer | undefined> {
  const request = { type: RTM_GETLINK, body: encodePortQuery(), operation: 'list the ports of bridges' };
  const isOwn = (port: BridgePort): boolean => port.index === index && port.settings.length > 0; // some NICs tell of themselves too
  return (await netlink.dump(request)).find((body) => isOwn(decodePort(body)));
}

/** The bridge chooses it by the link's speed, which is known when the link is up: see {@link restorePortCost}. */
const COST = 'cost';

/**
 * Gives a port its settings and VLANs again. To be done while the link is down: nothing passes that should not.
 *
 * @param kept what {@link keepPort} has told
 * @throws ErrnoError
 */
export async function restorePort(netlink: Conversation, link: Named, kept: Buffer): Promise<void> {
  const was = decodePort(kept);
  const now = await portNow(netlink, link);
  for (const { name, setting } of differingPortSettings(was.settings, now.settings)) {
    if (name !== COST) {
      await changePort(netlink, link, name, setting);
    }
  }
  await changeVlans(netlink, link, 'remove', without(now.vlans, was.vlans));
  await changeVlans(netlink, link, 'add', without(was.vlans, now.vlans));
}

/**
 * Gives a port that is up the path cost that somebody chose.
 *
 * @throws ErrnoError
 */
export async function restorePortCost(netlink: Conversation, link: Named, kept: Buffer): Promise<void> {
  const now = await portNow(netlink, link);
  for (const { name, setting } of differingPortSettings(decodePort(kept).settings, now.settings)) {
    if (name === COST) {
      await changePort(netlink, link, name, setting);
    }
  }
}

async function portNow(netlink: Conversation, { index }: Named): Promise<BridgePort> {
  const found = await savePort(netlink, index);
  return found === undefined ? { index, settings: Buffer.alloc(0), vlans: [] } : decodePort(found);
}

const changePort = (netlink: Conversation, link: Named, name: string, settings: Buffer): Promise<void> =>
  netlink.change({
    type: RTM_SETLINK,
    body: encodePort(link.index, { settings }),
    operation: `set "${name}" of bridge port "${link.name}"`,
  });

async function changeVlans(
  netlink: Conversation,
  link: Named,
  what: 'add' | 'remove',
  vlans: readonly PortVlan[],
): Promise<void> {
  if (vlans.length > 0) {
    await netlink.change({
      type: what === 'remove' ? RTM_DELLINK : RTM_SETLINK,
      body: encodePort(link.index, { vlans }),
      operation: `${what} VLANs of bridge port "${link.name}"`,
    });
  }
}

/** Those that are not among the others, or are there in another way. */
const without = (vlans: readonly PortVlan[], others: readonly PortVlan[]): readonly PortVlan[] =>
  vlans.filter(
    ({ id, isPvid, isUntagged }) =>
      !others.some((other) => other.id === id && other.isPvid === isPvid && other.isUntagged === isUntagged),
  );
