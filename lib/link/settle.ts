import { CniError } from '../cni/errors.ts';
import { formatIp, type Ip } from '../net/ip.ts';
import { IFA_F_DADFAILED, IFA_F_TENTATIVE } from '../netlink/codec/address.ts';
import type { Conversation } from '../netlink/conversation.ts';
import { type Clock, poll } from '../sys/clock.ts';
import type { LinkRef } from './addressing.ts';
import { findLinkByIndex, listAddresses } from './observe.ts';

const TIMEOUT_MS = 5_000;
const RHYTHM = { firstMs: 20, longestMs: 20 };

/**
 * Waits until duplicate address detection has passed for every IPv6 address of the link. A link without carrier never
 * gets that far: it is taken as it is.
 *
 * @throws CniError internal naming the address that another host has
 */
export async function settle(netlink: Conversation, link: LinkRef, clock: Clock): Promise<void> {
  const isSettled = await poll(clock, TIMEOUT_MS, RHYTHM, async () =>
    (await tentativeOf(netlink, link)) === undefined ? true : undefined,
  );
  const tentative = isSettled ? undefined : await tentativeOf(netlink, link);
  if (tentative !== undefined && (await hasCarrier(netlink, link))) {
    throw new CniError(
      'tryAgainLater',
      `cannot settle ${formatIp(tentative)} on "${link.name}" in ${TIMEOUT_MS} ms: duplicate address detection goes on`,
    );
  }
}

/** @throws CniError internal naming the address that another host has */
async function tentativeOf(netlink: Conversation, link: LinkRef): Promise<Ip | undefined> {
  const addresses = (await listAddresses(netlink, link.index)).filter(({ ip }) => ip.family === 6);
  const failed = addresses.find(({ flags }) => (flags & IFA_F_DADFAILED) !== 0);
  if (failed !== undefined) {
    throw new CniError('internal', `cannot use address ${formatIp(failed.ip)} on "${link.name}": another host has it`);
  }
  return addresses.find(({ flags }) => (flags & IFA_F_TENTATIVE) !== 0)?.ip;
}

const hasCarrier = async (netlink: Conversation, link: LinkRef): Promise<boolean> =>
  (await findLinkByIndex(netlink, link.index))?.isRunning ?? false;
