import { planAddresses } from '../link/addressing.ts';
import { checkAddresses } from '../link/check.ts';
import { type LinkPlan, linkFault } from '../link/link.ts';
import { findLink, type LinkFacts } from '../link/observe.ts';
import { findParent, mtuFault, parentFault } from '../link/parent.ts';
import { macOf } from '../net/mac.ts';
import type { NetworkCall, PodCall } from './call.ts';
import { type ChildConf, type ChildLinks, parentNetns, planChild } from './child-link.ts';
import { CniError } from './errors.ts';
import { ipamForward } from './ipam.ts';
import { checkFailed, ownInterface, ownPart, previousResult } from './previous.ts';
import type { Interface } from './result.ts';
import type { Scope } from './scope.ts';

/**
 * CHECK: compares the kernel with what the configuration asks for and with the result of ADD.
 *
 * @throws CniError internal naming what differs
 */
export async function checkChildLink<C extends ChildConf, A>(
  call: PodCall<C>,
  scope: Scope,
  links: ChildLinks<C, A>,
): Promise<void> {
  using netns = scope.node.openNetns(call.netnsPath);
  const master = links.masterOf(call);
  const parent = master === undefined ? undefined : await findParent(parentNetns(call, scope, netns).netlink, master);
  const wanted = parent === undefined ? withoutParent(call, links) : planChild(call, links, parent);
  await ipamForward(call, scope);
  const previous = previousResult(call);
  const own = ownInterface(previous, call);
  const link = await findLink(netns.netlink, call.ifName);
  if (link === undefined) {
    throw checkFailed(`link "${call.ifName}" is missing in the container`);
  }
  const fault =
    linkFault(link, asOfResult(wanted, own)) ??
    (link.isUp ? undefined : 'is down') ??
    (call.conf.master === '' || parent === undefined ? undefined : otherParent(link, parent, links));
  if (fault !== undefined) {
    throw checkFailed(`link "${link.name}" ${fault}`);
  }
  await checkAddresses(netns.netlink, link, planAddresses(ownPart(previous, own), link.name));
}

type Wanted<A> = Pick<LinkPlan<A>, 'kind' | 'attributes' | 'mac' | 'mtu'>;

const withoutParent = <C extends ChildConf, A>(call: PodCall<C>, links: ChildLinks<C, A>): Wanted<A> => ({
  kind: links.kind,
  attributes: links.attributesOf(call.conf),
  mac: links.macOf(call),
  mtu: call.conf.mtu || undefined,
});

/** What a chained plugin may have changed since is judged by the final result, which knows of it. */
function asOfResult<A>(wanted: Wanted<A>, own: Interface): Wanted<A> {
  const told = own.mac === undefined ? wanted.mac : macOf(own.mac);
  if (own.mac !== undefined && told === undefined) {
    throw checkFailed(`prevResult gives "${own.name}" the hardware address "${own.mac}", which is none`);
  }
  return { ...wanted, mac: told, mtu: own.mtu ?? wanted.mtu };
}

/** A link on another one of its kind is put on the device below by the kernel. */
function otherParent<C extends ChildConf, A>(
  link: LinkFacts,
  parent: LinkFacts,
  { kind }: ChildLinks<C, A>,
): string | undefined {
  const real = parent.kind === kind.name ? parent.parentIndex : parent.index;
  return link.parentIndex === real ? undefined : `is not on parent "${parent.name}"`;
}

/**
 * STATUS: examines the parent, where the configuration tells it, and asks the IPAM plugin.
 *
 * @throws CniError notAvailable
 */
export async function childLinkStatus<C extends ChildConf, A>(
  call: NetworkCall<C>,
  scope: Scope,
  links: ChildLinks<C, A>,
): Promise<void> {
  const master = call.conf.linkInContainer ? undefined : links.masterOf(call);
  if (master !== undefined) {
    await examineParent(call.conf, scope, master);
  }
  await ipamForward(call, scope);
}

async function examineParent({ mtu }: ChildConf, scope: Scope, master: string): Promise<void> {
  let parent: LinkFacts;
  try {
    parent = await findParent(scope.node.host.netlink, master);
  } catch (error) {
    throw error instanceof CniError ? new CniError('notAvailable', error.message, { cause: error }) : error;
  }
  const fault = parentFault(parent);
  if (fault !== undefined) {
    throw new CniError('notAvailable', `cannot use "master" "${parent.name}": it ${fault}`);
  }
  const tooLarge = mtuFault(mtu, parent);
  if (tooLarge !== undefined) {
    throw new CniError('notAvailable', `cannot use "mtu" ${mtu}: ${tooLarge}`);
  }
}
