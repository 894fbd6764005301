import { listDevices } from '../link/device.ts';
import type { Kind } from '../link/kind.ts';
import { findLink, type LinkFacts, listAddresses } from '../link/observe.ts';
import { formatCidr } from '../net/cidr.ts';
import type { Netns } from '../netns/netns.ts';
import { mapInTurn } from '../sys/in-turn.ts';
import { releaseAfter } from './addressed.ts';
import type { DeletionCall } from './call.ts';
import { temporaryNameOf } from './child-link.ts';
import { reopenIfHere, type SandboxLink, sandboxOf, sandboxOfDevice } from './sandbox.ts';
import type { Scope } from './scope.ts';

/** DEL: deletes the link, and then gives its addresses back. Other kinds of links are not ours. */
export function deleteChildLink<A>(call: DeletionCall, scope: Scope, kind: Kind<A>): Promise<void> {
  return releaseAfter(call, scope, () => removeOwnLink(call, scope, kind));
}

async function removeOwnLink<A>(call: DeletionCall, scope: Scope, kind: Kind<A>): Promise<void> {
  const sandbox = kind.sharesMac ? sandboxOfDevice(call) : sandboxOf(call);
  using netns = await reopenIfHere(scope, sandbox);
  if (netns === undefined) {
    return;
  }
  const found = await mapInTurn([call.ifName, temporaryNameOf(call)], (name) => findLink(netns.netlink, name));
  const links = found.filter((link) => link !== undefined).filter((link) => link.kind === kind.name);
  const renamed = links.length > 0 ? undefined : await findRenamed(netns, kind, sandbox.link);
  for (const link of renamed === undefined ? links : [renamed]) {
    await scope.removeLink(netns, link.index);
  }
}

/** Programs of the pod may have renamed it: it has its addresses all the same. */
async function findRenamed<A>(
  { netlink }: Netns,
  kind: Kind<A>,
  { mac, addresses = [] }: Partial<SandboxLink> = {},
): Promise<LinkFacts | undefined> {
  if (mac === undefined) {
    return undefined;
  }
  const links = (await listDevices(netlink)).filter((link) => link.kind === kind.name && link.mac === mac);
  if (!kind.sharesMac) {
    return links[0];
  }
  for (const link of links) {
    const found = (await listAddresses(netlink, link.index)).map(formatCidr);
    if (addresses.length > 0 && addresses.every((address) => found.includes(address))) {
      return link;
    }
  }
  return undefined;
}
