import { CniError } from '../../lib/cni/errors.ts';
import { contains } from '../../lib/net/cidr.ts';
import type { Datastore } from './datastore.ts';
import type { Slices } from './engine.ts';
import type { AttachmentId } from './pool.ts';
import type { ConfiguredRange } from './ranges.ts';

/**
 * A datastore that gives addresses of this node's slices of the ranges. What is held already is found where it is: slices
 * may have been cut anew since, and the node may have none any more.
 */
export function withSlices(store: Datastore, open: () => Promise<Slices>): Datastore {
  /** @returns undefined when nobody knows: the whole network is looked through then */
  async function placesOf(
    attachment: AttachmentId,
    ranges: readonly ConfiguredRange[],
  ): Promise<readonly ConfiguredRange[] | undefined> {
    const slices = await open();
    const remembered = await slices.remembered(ranges, attachment);
    if (remembered.length > 0) {
      return remembered;
    }
    try {
      return await slices.own(ranges, 'release');
    } catch (error) {
      if (error instanceof CniError) {
        return undefined;
      }
      throw error;
    }
  }
  return {
    ...store,
    reserve: async (request) =>
      store.reserve({ ...request, ranges: await (await open()).own(request.ranges, 'reserve') }),
    release: async (attachment, ranges) => store.release(attachment, ranges && (await placesOf(attachment, ranges))),
    find: async (attachment, ranges) => {
      const held = await store.held(attachment, await placesOf(attachment, ranges));
      const left = new Set(held);
      return ranges.map(({ cidr }) => {
        const found = [...left].find(({ ip }) => contains(cidr, ip));
        if (found !== undefined) {
          left.delete(found);
        }
        return found?.ip;
      });
    },
    collect: async (network, ranges, valid) => store.collect(network, await (await open()).remembered(ranges), valid),
    probe: async (ranges = []) => {
      await store.probe(ranges);
      await (await open()).own(ranges, 'probe');
    },
  };
}
