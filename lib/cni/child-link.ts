import type { Kind } from '../link/kind.ts';
import { createLink, type LinkPlan, temporaryName } from '../link/link.ts';
import { findLink, type LinkFacts } from '../link/observe.ts';
import { findParent, mtuFault } from '../link/parent.ts';
import { type AskedLink, type Refusals, withReason } from '../link/refusal.ts';
import type { Mac } from '../net/mac.ts';
import type { Request } from '../netlink/conversation.ts';
import type { Netns } from '../netns/netns.ts';
import { addressLink } from './addressed.ts';
import type { AttachmentCall, Call, PodCall } from './call.ts';
import { CniError } from './errors.ts';
import { ipamRunsInProcess, ipamType } from './ipam.ts';
import { markOf } from './mark.ts';
import type { Dns, Interface, Result } from './result.ts';
import type { Scope } from './scope.ts';
import { Undo } from './undo.ts';

/*
 * Plugins that give a pod a link on a parent differ in the kind of link; all else is the same for them. ADD is here, CHECK
 * and STATUS are in child-check.ts, DEL is in child-removal.ts.
 */

/** What the configuration of such a plugin has, whatever the kind. */
export interface ChildConf {
  readonly master: string;
  readonly mtu: number;
  readonly linkInContainer: boolean;
  readonly dns: Dns;
}

/** What a plugin says of its links. */
export interface ChildLinks<C extends ChildConf, A> {
  readonly kind: Kind<A>;
  readonly refusals: Refusals<A>;
  attributesOf(conf: C): A;
  /**
   * The hardware address that the link shall have; undefined for the kernel's choice. CHECK wants only one that was asked
   * for.
   *
   * @throws CniError
   */
  macOf(call: PodCall<C>): Mac | undefined;
  /**
   * Name of the parent; '' for the one through which the default route leads; undefined where the call does not say.
   *
   * @throws CniError
   */
  masterOf(call: Call<C>): string | undefined;
  /** Addresses and routes beside those of the IPAM plugin. */
  inherited?(call: PodCall<C>): Pick<Result, 'ips' | 'routes'> | undefined;
}

/**
 * ADD: makes the link in the pod, gets its addresses, and sets it up with them.
 *
 * @throws CniError, ErrnoError; nothing is left then
 */
export async function addChildLink<C extends ChildConf, A>(
  call: PodCall<C>,
  scope: Scope,
  links: ChildLinks<C, A>,
): Promise<Result> {
  const { kind, refusals } = links;
  const more = links.inherited?.(call);
  using netns = scope.node.openNetns(call.netnsPath);
  await using undo = new Undo(scope);
  const home = parentNetns(call, scope, netns);
  const from = home.netlink;
  if (call.conf.linkInContainer) {
    await scope.linksMade();
  }
  const plan = planChild(call, links, await findParent(from, links.masterOf(call) ?? ''));
  const asked: AskedLink<A> = { from, target: netns, plan };
  const made = (name: string): void =>
    undo.push(`delete link "${name}"`, (unending) => removeByName(unending, netns, kind, name));
  // Once this call waits, the next network of the pod may start: not before one whose IPAM plugin is executed is done.
  const mayOverlap = ipamType(call.document) === '' || ipamRunsInProcess(call, scope);
  const find = (name: string) => (mayOverlap ? scope.findLink(netns, name) : findLink(netns.netlink, name));
  const request = (creation: Request) => scope.makeLink(home, creation, mayOverlap);
  const create = () => createLink(plan, { request, target: netns, token: tokenOf(call), made, find });
  const { index, name, mac } = await withReason(asked, refusals, 'creation', create);
  const link = { index, name, mark: markOf(call, scope.node.host) };
  const own: Interface = { name, mac, sandbox: call.netnsPath };
  const takeAway = (unending: Scope) => removeByName(unending, netns, kind, name);
  const result = await withReason(asked, refusals, 'goingUp', () =>
    addressLink(
      call,
      scope,
      { netns, link, own, dns: call.conf.dns, takeAway, ...(more === undefined ? {} : { more }) },
      undo,
    ),
  );
  undo.commit();
  return result;
}

/**
 * What the link should be. Pure.
 *
 * @throws CniError invalidNetworkConfig
 */
export function planChild<C extends ChildConf, A>(
  call: PodCall<C>,
  links: ChildLinks<C, A>,
  parent: LinkFacts,
): LinkPlan<A> {
  const { mtu } = call.conf;
  const fault = mtuFault(mtu, parent);
  if (fault !== undefined) {
    throw new CniError('invalidNetworkConfig', `cannot use "mtu" ${mtu}: ${fault}, and 0 takes that`);
  }
  return {
    name: call.ifName,
    parent,
    kind: links.kind,
    attributes: links.attributesOf(call.conf),
    mtu: mtu || undefined,
    mac: links.macOf(call),
  };
}

/** Where the parent is. */
export const parentNetns = (call: Call<ChildConf>, scope: Scope, netns: Netns): Netns =>
  call.conf.linkInContainer ? netns : scope.node.host;

/** The name that the link may have for a moment, on older kernels. */
export const temporaryNameOf = (call: AttachmentCall<unknown>): string => temporaryName(tokenOf(call));

const tokenOf = (call: AttachmentCall<unknown>): string => `${call.containerId} ${call.ifName}`;

async function removeByName<A>(scope: Scope, netns: Netns, kind: Kind<A>, name: string): Promise<void> {
  const link = await findLink(netns.netlink, name);
  if (link?.kind === kind.name) {
    await scope.removeLink(netns, link.index);
  }
}
