import type { Kind } from '../link/kind.ts';
import { findLink, type LinkFacts, listAddresses, listLinks } from '../link/observe.ts';
import { formatCidr } from '../net/cidr.ts';
import type { Conversation } from '../netlink/conversation.ts';
import { releaseAfter } from './addressed.ts';
import type { DeletionCall } from './call.ts';
import { temporaryNameOf } from './child-link.ts';
import { isMark } from './mark.ts';
import { reopenLogged, type Sandbox, sandboxOfMarked } from './sandbox.ts';
import type { SandboxLink } from './sandbox-link.ts';
import type { Scope } from './scope.ts';

/** DEL: deletes the link, and then gives its addresses back. Other kinds of links are not ours. */
export function deleteChildLink<A>(call: DeletionCall, scope: Scope, kind: Kind<A>): Promise<void> {
  return releaseAfter(call, scope, () => removeOwnLink(call, scope, kind));
}

async function removeOwnLink<A>(call: DeletionCall, scope: Scope, kind: Kind<A>): Promise<void> {
  const sandbox = sandboxOfMarked(call, scope, kind);
  const { netns, link } = await reopenLogged(scope, sandbox);
  using _open = netns;
  if (netns !== undefined) {
    const own = link === undefined ? await findOwn(call, netns.netlink, kind, sandbox) : [link];
    for (const { index } of own) {
      await scope.removeLink(netns, index);
    }
  }
}

/**
 * The link of an attachment. Programs of the pod may have renamed it: it has its addresses all the same. One that the Go
 * plugin made, or an ADD that was killed before the link was up, is not marked.
 */
async function findOwn<A>(
  call: DeletionCall,
  netlink: Conversation,
  kind: Kind<A>,
  { link }: Sandbox,
): Promise<readonly LinkFacts[]> {
  const mark = link?.marked?.mark;
  const named = await findLink(netlink, call.ifName);
  if (named !== undefined && named.alias === mark) {
    return [named];
  }
  const links = (await listLinks(netlink)).filter((one) => one.kind === kind.name);
  const marked = links.filter(({ alias }) => alias === mark);
  if (marked.length > 0) {
    return marked;
  }
  const unmarked = links.filter(({ alias }) => !isMark(alias));
  const names = [call.ifName, temporaryNameOf(call)];
  const called = unmarked.filter(({ name, altNames }) => [name, ...altNames].some((one) => names.includes(one)));
  return called.length > 0 ? called : findRenamed(netlink, kind, unmarked, link);
}

/** By what ADD told of it: its hardware address; where that is the parent's, its addresses. */
async function findRenamed<A>(
  netlink: Conversation,
  kind: Kind<A>,
  links: readonly LinkFacts[],
  { mac, addresses = [] }: Partial<SandboxLink> = {},
): Promise<readonly LinkFacts[]> {
  const like = mac === undefined ? [] : links.filter((link) => link.mac === mac);
  if (!kind.sharesMac) {
    return like.slice(0, 1);
  }
  for (const link of addresses.length === 0 ? [] : like) {
    const found = (await listAddresses(netlink, link.index)).map(formatCidr);
    if (addresses.every((address) => found.includes(address))) {
      return [link];
    }
  }
  return [];
}
