import { addressLink, refuseUnprintable, releaseAfter } from '../../lib/cni/addressed.ts';
import { parseCniArgs } from '../../lib/cni/args.ts';
import type { AttachmentCall, DeletionCall, NetworkCall, PodCall } from '../../lib/cni/call.ts';
import { CniError } from '../../lib/cni/errors.ts';
import { ipamForesee, ipamForward } from '../../lib/cni/ipam.ts';
import { isMark, markOf } from '../../lib/cni/mark.ts';
import { definePlugin, type Plugin } from '../../lib/cni/plugin.ts';
import type { Interface, Result } from '../../lib/cni/result.ts';
import { reopenIfHere, sandboxOfMarked } from '../../lib/cni/sandbox.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { Undo } from '../../lib/cni/undo.ts';
import { findDevice, listDevices } from '../../lib/link/device.ts';
import { createLink, type LinkPlan, temporaryName } from '../../lib/link/link.ts';
import { findLink, type LinkFacts } from '../../lib/link/observe.ts';
import { formatMac, randomMac } from '../../lib/net/mac.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { checkMacvlan } from './check.ts';
import { MacvlanConf } from './config.ts';
import { examine } from './examine.ts';
import { findParent } from './parent.ts';
import { parentFault, planMacvlan, readMac, wantedMacOf } from './plan.ts';
import { CREATION, GOING_UP, withReason } from './refusal.ts';

export const macvlan: Plugin = definePlugin<MacvlanConf>({
  name: 'macvlan',
  about: 'macvlan: gives a pod an interface with an address of its own on a parent interface',
  conf: MacvlanConf,
  add,
  del,
  check,
  status,
  gc: (call, scope) => ipamForward(call, scope), // links end with their namespace: only addresses can be left over
  examine,
  validate,
  foresee: (call, scope) => ipamForesee(call, scope),
});

async function add(call: PodCall<MacvlanConf>, scope: Scope): Promise<Result> {
  refuseUnprintable(call);
  using netns = scope.node.openNetns(call.netnsPath);
  await using undo = new Undo(scope);
  const plan = await planOf(call, scope, netns);
  const { index, name, mac } = await makeLink(call, scope, netns, plan, undo);
  const link = { index, name, mark: markOf(call, scope.node.host) };
  const own: Interface = { name, mac, sandbox: call.netnsPath };
  const takeAway = (unending: Scope) => removeMacvlan(unending, netns, name);
  const asked = { from: parentNetns(call, scope, netns).netlink, target: netns, plan };
  const result = await withReason(asked, GOING_UP, () =>
    addressLink(call, scope, { netns, link, own, dns: call.conf.dns, takeAway }, undo),
  );
  undo.commit();
  return result;
}

function validate(call: PodCall<MacvlanConf>): void {
  refuseUnprintable(call);
  readMac(wantedMacOf(call.conf, parseCniArgs(call.args, ['MAC'])));
}

function del(call: DeletionCall, scope: Scope): Promise<void> {
  return releaseAfter(call, scope, () => removeOwnLink(call, scope));
}

async function check(call: PodCall<MacvlanConf>, scope: Scope): Promise<void> {
  using netns = scope.node.openNetns(call.netnsPath);
  const parent = await findParent(parentNetns(call, scope, netns).netlink, call.conf.master);
  const args = parseCniArgs(call.args, ['MAC']);
  const plan = planMacvlan(call.conf, call.ifName, parent, {
    wantedMac: wantedMacOf(call.conf, args),
    freeMac: () => undefined,
  });
  await ipamForward(call, scope);
  await checkMacvlan(call, netns, parent, plan);
}

async function status(call: NetworkCall<MacvlanConf>, scope: Scope): Promise<void> {
  if (!call.conf.linkInContainer) {
    await checkParent(call, scope);
  }
  await ipamForward(call, scope);
}

async function checkParent(call: NetworkCall<MacvlanConf>, scope: Scope): Promise<void> {
  let parent: LinkFacts;
  try {
    parent = await findParent(scope.node.host.netlink, call.conf.master);
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

async function planOf(call: PodCall<MacvlanConf>, scope: Scope, netns: Netns): Promise<LinkPlan> {
  const parent = await findParent(parentNetns(call, scope, netns).netlink, call.conf.master);
  const wantedMac = wantedMacOf(call.conf, parseCniArgs(call.args, ['MAC']));
  return planMacvlan(call.conf, call.ifName, parent, { wantedMac, freeMac: () => formatMac(randomMac()) });
}

async function makeLink(
  call: PodCall<MacvlanConf>,
  scope: Scope,
  netns: Netns,
  plan: LinkPlan,
  undo: Undo,
): Promise<LinkFacts> {
  const from = parentNetns(call, scope, netns).netlink;
  const made = (name: string): void =>
    undo.push(`delete link "${name}"`, (unending) => removeMacvlan(unending, netns, name));
  return withReason({ from, target: netns, plan }, CREATION, () => createLink(from, netns, plan, tokenOf(call), made));
}

const parentNetns = (call: PodCall<MacvlanConf>, scope: Scope, netns: Netns): Netns =>
  call.conf.linkInContainer ? netns : scope.node.host;

async function removeOwnLink(call: DeletionCall, scope: Scope): Promise<void> {
  const sandbox = sandboxOfMarked(call, scope, 'macvlan');
  using netns = await reopenIfHere(scope, sandbox);
  if (netns !== undefined) {
    for (const link of await findOwn(call, scope, netns, sandbox.link?.mac)) {
      await scope.removeLink(netns, link.index);
    }
  }
}

/**
 * The link of an attachment. Programs of the pod may have renamed it: it has its addresses all the same. One that the Go
 * plugin made, or an ADD that was killed before the link was up, is not marked.
 */
async function findOwn(
  call: DeletionCall,
  scope: Scope,
  { netlink }: Netns,
  mac: string | undefined,
): Promise<readonly Pick<LinkFacts, 'index'>[]> {
  const mark = markOf(call, scope.node.host);
  const named = await findDevice(netlink, call.ifName);
  if (named?.alias === mark) {
    return [named];
  }
  const links = (await listDevices(netlink)).filter(({ kind }) => kind === 'macvlan');
  const unmarked = links.filter(({ alias }) => !isMark(alias));
  const names = [call.ifName, temporaryName(tokenOf(call))];
  const ways = [
    links.filter(({ alias }) => alias === mark),
    unmarked.filter(({ name, altNames }) => [name, ...altNames].some((one) => names.includes(one))),
    unmarked.filter((link) => link.mac === mac).slice(0, 1),
  ];
  return ways.find((found) => found.length > 0) ?? [];
}

async function removeMacvlan(scope: Scope, netns: Netns, name: string): Promise<void> {
  const link = await findLink(netns.netlink, name);
  if (link?.kind === 'macvlan') {
    await scope.removeLink(netns, link.index);
  }
}

const tokenOf = (call: AttachmentCall<unknown>): string => `${call.containerId} ${call.ifName}`;
