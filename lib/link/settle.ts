import { CniError } from '../cni/errors.ts';
import { formatIp } from '../net/ip.ts';
import { IFA_F_DADFAILED, IFA_F_TENTATIVE } from '../netlink/codec/address.ts';
import type { Conversation } from '../netlink/conversation.ts';
import type { Named } from './addressing.ts';
import { findLinkByIndex, listAddresses } from './observe.ts';

const DEADLINE_MS = 5_000;
const PAUSE_MS = 20;

/**
 * Waits until duplicate address detection has passed for every IPv6 address of the link. A link without carrier never
 * gets that far: it is taken as it is.
 *
 * @throws CniError internal naming the address that another host has
 */
export async function settle(netlink: Conversation, link: Named, sleep: (ms: number) => Promise<void>): Promise<void> {
  for (let waited = 0; ; waited += PAUSE_MS) {
    const addresses = (await listAddresses(netlink, link.index)).filter(({ ip }) => ip.family === 6);
    const failed = addresses.find(({ flags }) => (flags & IFA_F_DADFAILED) !== 0);
    if (failed !== undefined) {
      throw new CniError(
        'internal',
        `cannot use address ${formatIp(failed.ip)} on "${link.name}": another host has it`,
      );
    }
    const tentative = addresses.find(({ flags }) => (flags & IFA_F_TENTATIVE) !== 0);
    if (tentative === undefined) {
      return;
    }
    if (waited >= DEADLINE_MS) {
      if (await hasCarrier(netlink, link)) {
        throw new CniError(
          'tryAgainLater',
          `cannot settle ${formatIp(tentative.ip)} on "${link.name}" in ${DEADLINE_MS} ms`,
        );
      }
      return;
    }
    await sleep(PAUSE_MS);
  }
}

const hasCarrier = async (netlink: Conversation, link: Named): Promise<boolean> =>
  (await findLinkByIndex(netlink, link.index))?.isRunning ?? false;
