import { dumpLinks, factsOf, type LinkFacts } from '../link/observe.ts';
import { listRoutes, type RouteFacts } from '../link/routes.ts';
import { decodeLink } from '../netlink/codec/link.ts';
import type { Conversation } from '../netlink/conversation.ts';
import { type KernelFacts, NOTHING_KNOWN } from './facts.ts';

/** include/uapi/linux/if.h */
const IFF_LOWER_UP = 1 << 16;
/** include/uapi/linux/if_arp.h, with the words of `ip -d link`. */
const LINK_TYPES: Readonly<Record<number, string>> = { 1: 'ether', 32: 'infiniband', 772: 'loopback' };

/**
 * What the kernel tells of the host's links.
 *
 * @param netlink of the host's namespace
 * @throws ErrnoError
 */
export async function readKernelFacts(netlink: Conversation): Promise<KernelFacts> {
  const bodies = await dumpLinks(netlink);
  const links = bodies.map((body) => {
    const { type, flags } = decodeLink(body);
    return { ...factsOf(body), type, hasCarrier: (flags & IFF_LOWER_UP) !== 0 };
  });
  const defaults = (await listRoutes(netlink)).filter(({ destination }) => destination.prefix === 0);
  return {
    ...NOTHING_KNOWN,
    links: new Map(links.map(({ name, isUp, hasCarrier }) => [name, { isUp, hasCarrier }])),
    linkTypes: new Map(links.map(({ name, type }) => [name, LINK_TYPES[type] ?? ''])),
    routed: linksBelow(links, new Set(defaults.flatMap(waysOut))),
  };
}

const waysOut = ({ outputIndex, nextHops }: RouteFacts): readonly number[] => [
  ...(outputIndex === undefined ? [] : [outputIndex]),
  ...nextHops.map(({ index }) => index),
];

/** Names of some links and of all that lies below them: parts of bonds and bridges, parents of VLANs. */
export function linksBelow(
  links: readonly Pick<LinkFacts, 'index' | 'name' | 'kind' | 'parentIndex' | 'masterIndex'>[],
  upper: ReadonlySet<number>,
): ReadonlySet<string> {
  const all = new Set(upper);
  for (let size = -1; size !== all.size; ) {
    size = all.size;
    for (const { index, kind, parentIndex, masterIndex } of links) {
      if (parentIndex !== undefined && kind !== 'veth' && all.has(index)) {
        all.add(parentIndex);
      }
      if (masterIndex !== undefined && all.has(masterIndex)) {
        all.add(index);
      }
    }
  }
  return new Set(links.filter(({ index }) => all.has(index)).map(({ name }) => name));
}
