import type { Conversation } from '../netlink/conversation.ts';
import { findLink, type LinkFacts, listLinks } from './observe.ts';

/**
 * Looks up links of one namespace by their names, alternative ones among them. For several, one list costs less than the
 * look-ups: the links that a pod has are mostly those that are looked for.
 *
 * @returns for each name its link, undefined when there is none, or why nobody knows
 */
export async function findLinks(
  netlink: Conversation,
  names: readonly string[],
): Promise<readonly PromiseSettledResult<LinkFacts | undefined>[]> {
  const [first] = names;
  if (first !== undefined && names.length === 1) {
    return Promise.allSettled([findLink(netlink, first)]);
  }
  const byName = new Map(
    (await listLinks(netlink)).flatMap((link) => [link.name, ...link.altNames].map((name) => [name, link] as const)),
  );
  return names.map((name) => ({ status: 'fulfilled', value: byName.get(name) }));
}
