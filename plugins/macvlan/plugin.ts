import { parseCniArgs } from '../../lib/cni/args.ts';
import { CniError, combined } from '../../lib/cni/errors.ts';
import { ipamAdd, ipamDel, ipamForward, ipamType } from '../../lib/cni/ipam.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { Call, Host, Plugin } from '../../lib/cni/plugin.ts';
import { formatResult, type Interface, type Result } from '../../lib/cni/result.ts';
import { Undo } from '../../lib/cni/undo.ts';
import { familyOf } from '../../lib/cni/versions.ts';
import { announceWhenUp, configureLink, planAddresses } from '../../lib/link/addressing.ts';
import { createLink, type LinkPlan, setUp, temporaryName } from '../../lib/link/link.ts';
import { findLink, type LinkFacts } from '../../lib/link/observe.ts';
import { settle } from '../../lib/link/settle.ts';
import { formatMac, randomMac } from '../../lib/net/mac.ts';
import { type Netns, NetnsMissing } from '../../lib/netns/netns.ts';
import { checkMacvlan } from './check.ts';
import { MacvlanConf } from './config.ts';
import { findParent } from './parent.ts';
import { parentFault, planMacvlan, wantedMacOf } from './plan.ts';

export const macvlan: Plugin<MacvlanConf> = {
  name: 'macvlan',
  about: 'macvlan: gives a pod an interface with an address of its own on a parent interface',
  conf: MacvlanConf,
  add,
  del,
  check,
  status,
  gc: (call, host) => ipamForward(call, host), // links end with their namespace: only addresses can be left over
};

async function add(call: Call<MacvlanConf>, host: Host): Promise<Result> {
  const hasIpam = ipamType(call.document) !== '';
  refuseUnprintable(call, hasIpam);
  using netns = host.openNetns(call.netnsPath);
  await using undo = new Undo(host.log);
  const plan = planOf(call, host, netns);
  const link = makeLink(call, host, netns, plan, undo);
  const own: Interface = { name: link.name, mac: link.mac, sandbox: call.netnsPath };
  if (!hasIpam) {
    setUp(netns.netlink, link);
    undo.commit();
    return { interfaces: [own], ips: [], routes: [], dns: call.conf.dns };
  }
  if (ipamType(call.document) === 'dhcp') {
    setUp(netns.netlink, link);
  }
  const leases = await ipamAdd(call, host, undo);
  undo.push('take the addresses off before they are given back', () => removeMacvlan(host, netns, link.name));
  const ips = leases.ips.map((ip) => ({ ...ip, interface: 0 }));
  const result: Result = { interfaces: [own], ips, routes: leases.routes, dns: call.conf.dns };
  const addresses = planAddresses(result, link.name);
  announceWhenUp(netns, link.name);
  configureLink(netns, link, addresses, host.log);
  if (addresses.addresses.some(({ ip }) => ip.family === 6)) {
    await settle(netns.netlink, link, host.sleep);
  }
  undo.commit();
  return result;
}

/**
 * The link goes first and its addresses after it: while the link is there nobody else may get them. One failure does
 * not keep the other from being tried.
 */
async function del(call: Call<JsonObject>, host: Host): Promise<void> {
  const errors: unknown[] = [];
  for (const step of [() => removeOwnLink(call, host), () => giveBack(call, host)]) {
    try {
      await step();
    } catch (error) {
      errors.push(error);
    }
  }
  const failure = combined(errors);
  if (failure !== undefined) {
    throw failure;
  }
}

async function check(call: Call<MacvlanConf>, host: Host): Promise<void> {
  using netns = host.openNetns(call.netnsPath);
  const parent = findParent(parentNetns(call, host, netns).netlink, call.conf.master);
  const args = parseCniArgs(call.args, ['MAC']);
  const plan = planMacvlan(call.conf, call.ifName, parent, {
    wantedMac: wantedMacOf(call.conf, args),
    freeMac: () => '',
  });
  await ipamForward(call, host);
  checkMacvlan(call, netns, parent, plan);
}

async function status(call: Call<MacvlanConf>, host: Host): Promise<void> {
  if (!call.conf.linkInContainer) {
    checkParent(call, host);
  }
  await ipamForward(call, host);
}

function checkParent(call: Call<MacvlanConf>, host: Host): void {
  let parent: LinkFacts;
  try {
    parent = findParent(host.netns.netlink, call.conf.master);
  } catch (error) {
    throw error instanceof CniError ? new CniError('notAvailable', error.message, { cause: error }) : error;
  }
  const fault = parentFault(parent);
  if (fault !== undefined) {
    throw new CniError('notAvailable', `cannot use "master" "${parent.name}": it ${fault}`);
  }
  if (call.conf.mtu > parent.mtu) {
    throw new CniError('notAvailable', `cannot use "mtu" ${call.conf.mtu}: parent "${parent.name}" has ${parent.mtu}`);
  }
}

/** Results before 0.3.0 cannot say "no address": better known before anything is done. */
function refuseUnprintable(call: Call<MacvlanConf>, hasIpam: boolean): void {
  if (!hasIpam && familyOf(call.version) === '0.1') {
    formatResult({ interfaces: [], ips: [], routes: [], dns: {} }, call.version);
  }
}

function planOf(call: Call<MacvlanConf>, host: Host, netns: Netns): LinkPlan {
  const parent = findParent(parentNetns(call, host, netns).netlink, call.conf.master);
  const wantedMac = wantedMacOf(call.conf, parseCniArgs(call.args, ['MAC']));
  return planMacvlan(call.conf, call.ifName, parent, { wantedMac, freeMac: () => formatMac(randomMac()) });
}

function makeLink(call: Call<MacvlanConf>, host: Host, netns: Netns, plan: LinkPlan, undo: Undo): LinkFacts {
  const from = parentNetns(call, host, netns).netlink;
  return createLink(from, netns, plan, tokenOf(call), (name) => {
    undo.push(`delete link "${name}"`, () => removeMacvlan(host, netns, name));
  });
}

const parentNetns = (call: Call<MacvlanConf>, host: Host, netns: Netns): Netns =>
  call.conf.linkInContainer ? netns : host.netns;

async function removeOwnLink(call: Call<JsonObject>, host: Host): Promise<void> {
  if (call.netnsPath === '') {
    return;
  }
  try {
    using netns = host.openNetns(call.netnsPath);
    for (const name of [call.ifName, temporaryName(tokenOf(call))]) {
      await removeMacvlan(host, netns, name);
    }
  } catch (error) {
    if (!(error instanceof NetnsMissing)) {
      throw error;
    }
  }
}

async function removeMacvlan(host: Host, netns: Netns, name: string): Promise<void> {
  const link = findLink(netns.netlink, name);
  if (link?.kind === 'macvlan') {
    await host.removeLink(netns, link.index);
  }
}

async function giveBack(call: Call<JsonObject>, host: Host): Promise<void> {
  if (ipamType(call.document) !== '') {
    await ipamDel(call, host);
  }
}

const tokenOf = (call: Call<unknown>): string => `${call.containerId} ${call.ifName}`;
