import type { Call } from '../../lib/cni/plugin.ts';
import { differs, ownInterface, ownPart, previousResult } from '../../lib/cni/previous.ts';
import type { Interface } from '../../lib/cni/result.ts';
import { planAddresses } from '../../lib/link/addressing.ts';
import { checkAddresses } from '../../lib/link/check.ts';
import { type LinkPlan, MACVLAN_MODES } from '../../lib/link/link.ts';
import { findLink, type LinkFacts } from '../../lib/link/observe.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import type { MacvlanConf } from './config.ts';

/**
 * Compares the kernel with the plan and with the result of ADD.
 *
 * @throws CniError internal naming what differs
 */
export async function checkMacvlan(
  call: Call<MacvlanConf>,
  netns: Netns,
  parent: LinkFacts,
  plan: LinkPlan,
): Promise<void> {
  const previous = previousResult(call);
  const own = ownInterface(previous, call);
  const link = await findLink(netns.netlink, call.ifName);
  if (link === undefined) {
    throw differs(`link "${call.ifName}" is missing in the container`);
  }
  const fault = linkFault(link, plan, own) ?? parentFault(call, link, parent);
  if (fault !== undefined) {
    throw differs(`link "${link.name}" ${fault}`);
  }
  await checkAddresses(netns.netlink, link, planAddresses(ownPart(previous, own), link.name));
}

/** What a chained plugin may have changed since is judged by the final result, which knows of it. */
function linkFault(link: LinkFacts, plan: LinkPlan, own: Interface): string | undefined {
  if (link.kind !== 'macvlan') {
    return `is a ${link.kind || 'physical device'}, not a macvlan`;
  }
  if (link.macvlanMode !== MACVLAN_MODES[plan.mode]) {
    return `does not have mode "${plan.mode}"`;
  }
  const mac = own.mac?.toLowerCase() ?? plan.mac;
  if (mac !== undefined && mac !== '' && link.mac !== mac) {
    return `has hardware address ${link.mac}, not ${mac}`;
  }
  const mtu = own.mtu ?? plan.mtu;
  if (mtu !== undefined && link.mtu !== mtu) {
    return `has MTU ${link.mtu}, not ${mtu}`;
  }
  return link.isUp ? undefined : 'is down';
}

/** A macvlan on a macvlan is put on the device below by the kernel. */
function parentFault(call: Call<MacvlanConf>, link: LinkFacts, parent: LinkFacts): string | undefined {
  const real = parent.kind === 'macvlan' ? parent.parentIndex : parent.index;
  return call.conf.master === '' || link.parentIndex === real ? undefined : `is not on parent "${parent.name}"`;
}
