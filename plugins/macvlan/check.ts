import { CniError } from '../../lib/cni/errors.ts';
import { lookUp } from '../../lib/cni/json.ts';
import type { Call } from '../../lib/cni/plugin.ts';
import { type Interface, parseResult, type Result } from '../../lib/cni/result.ts';
import { familyOf } from '../../lib/cni/versions.ts';
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
export function checkMacvlan(call: Call<MacvlanConf>, netns: Netns, parent: LinkFacts, plan: LinkPlan): void {
  const previous = previousResult(call);
  const own = ownInterface(previous, call);
  const link = findLink(netns.netlink, call.ifName);
  if (link === undefined) {
    throw differs(`link "${call.ifName}" is missing in the container`);
  }
  const fault = linkFault(link, plan, own) ?? parentFault(call, link, parent);
  if (fault !== undefined) {
    throw differs(`link "${link.name}" ${fault}`);
  }
  const index = previous.interfaces.indexOf(own);
  const mine = { ...previous, ips: previous.ips.filter((ip) => (ip.interface ?? index) === index) };
  checkAddresses(netns.netlink, link, planAddresses(mine, link.name));
}

/** The interface's own entry of the result; the last when there are several. */
function ownInterface(previous: Result, call: Call<MacvlanConf>): Interface {
  const own = previous.interfaces.findLast(({ name, sandbox }) => name === call.ifName && sandbox === call.netnsPath);
  if (own === undefined) {
    throw differs(`prevResult has no interface "${call.ifName}" with sandbox "${call.netnsPath}"`);
  }
  return own;
}

function previousResult(call: Call<MacvlanConf>): Result {
  const value = lookUp(call.document, 'prevResult');
  if (value === undefined || value === null) {
    throw new CniError('invalidNetworkConfig', 'cannot check the interface: "prevResult" is missing');
  }
  const { version, ...previous } = parseResult(value, call.version, 'prevResult');
  if (familyOf(version) !== familyOf(call.version)) {
    throw new CniError('internal', `cannot use prevResult: its cniVersion ${version} does not go with ${call.version}`);
  }
  return previous;
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

const differs = (message: string): CniError => new CniError('internal', `check failed: ${message}`);
