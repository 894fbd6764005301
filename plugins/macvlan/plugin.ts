import { addressLink, refuseUnprintable, releaseAfter } from '../../lib/cni/addressed.ts';
import { parseCniArgs } from '../../lib/cni/args.ts';
import type { AttachmentCall, DeletionCall, NetworkCall, PodCall } from '../../lib/cni/call.ts';
import { CniError } from '../../lib/cni/errors.ts';
import { ipamForesee, ipamForward } from '../../lib/cni/ipam.ts';
import { definePlugin, type Plugin } from '../../lib/cni/plugin.ts';
import type { Interface, Result } from '../../lib/cni/result.ts';
import { reopenIfHere, sandboxOf } from '../../lib/cni/sandbox.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { Undo } from '../../lib/cni/undo.ts';
import { listDevices } from '../../lib/link/device.ts';
import { createLink, type LinkPlan, temporaryName } from '../../lib/link/link.ts';
import { findLink, type LinkFacts } from '../../lib/link/observe.ts';
import { formatMac, randomMac } from '../../lib/net/mac.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { mapInTurn } from '../../lib/sys/in-turn.ts';
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
  const link = await makeLink(call, scope, netns, plan, undo);
  const own: Interface = { name: link.name, mac: link.mac, sandbox: call.netnsPath };
  const takeAway = (unending: Scope) => removeMacvlan(unending, netns, link.name);
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
  const sandbox = sandboxOf(call);
  using netns = await reopenIfHere(scope, sandbox);
  if (netns === undefined) {
    return;
  }
  const found = await mapInTurn([call.ifName, temporaryName(tokenOf(call))], (name) => findLink(netns.netlink, name));
  const links = found.filter((link) => link !== undefined).filter(({ kind }) => kind === 'macvlan');
  const renamed = links.length > 0 ? undefined : await findByMac(netns, sandbox.link?.mac);
  for (const link of renamed === undefined ? links : [renamed]) {
    await scope.removeLink(netns, link.index);
  }
}

/** Programs of the pod may have renamed it: it has its addresses all the same. */
async function findByMac({ netlink }: Netns, mac: string | undefined): Promise<LinkFacts | undefined> {
  return mac === undefined
    ? undefined
    : (await listDevices(netlink)).find((link) => link.kind === 'macvlan' && link.mac === mac);
}

async function removeMacvlan(scope: Scope, netns: Netns, name: string): Promise<void> {
  const link = await findLink(netns.netlink, name);
  if (link?.kind === 'macvlan') {
    await scope.removeLink(netns, link.index);
  }
}

const tokenOf = (call: AttachmentCall<unknown>): string => `${call.containerId} ${call.ifName}`;
