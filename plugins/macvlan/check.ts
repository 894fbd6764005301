import type { PodCall } from '../../lib/cni/call.ts';
import { differs, ownInterface, ownPart, previousResult } from '../../lib/cni/previous.ts';
import type { Interface } from '../../lib/cni/result.ts';
import { planAddresses } from '../../lib/link/addressing.ts';
import { checkAddresses } from '../../lib/link/check.ts';
import { type LinkPlan, linkFault } from '../../lib/link/link.ts';
import { findLink, type LinkFacts } from '../../lib/link/observe.ts';
import { macOf } from '../../lib/net/mac.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import type { MacvlanConf } from './config.ts';

/**
 * Compares the kernel with the plan and with the result of ADD.
 *
 * @throws CniError internal naming what differs
 */
export async function checkMacvlan(
  call: PodCall<MacvlanConf>,
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
  const fault =
    linkFault(link, asOfResult(plan, own)) ?? (link.isUp ? undefined : 'is down') ?? parentFault(call, link, parent);
  if (fault !== undefined) {
    throw differs(`link "${link.name}" ${fault}`);
  }
  await checkAddresses(netns.netlink, link, planAddresses(ownPart(previous, own), link.name));
}

/** What a chained plugin may have changed since is judged by the final result, which knows of it. */
function asOfResult({ mode, mac, mtu }: LinkPlan, own: Interface): Parameters<typeof linkFault>[1] {
  const told = own.mac === undefined ? mac : macOf(own.mac);
  if (own.mac !== undefined && told === undefined) {
    throw differs(`prevResult gives "${own.name}" the hardware address "${own.mac}", which is none`);
  }
  return { mode, mac: told, mtu: own.mtu ?? mtu };
}

/** A macvlan on a macvlan is put on the device below by the kernel. */
function parentFault(call: PodCall<MacvlanConf>, link: LinkFacts, parent: LinkFacts): string | undefined {
  const real = parent.kind === 'macvlan' ? parent.parentIndex : parent.index;
  return call.conf.master === '' || link.parentIndex === real ? undefined : `is not on parent "${parent.name}"`;
}
