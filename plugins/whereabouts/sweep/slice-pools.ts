import { type Cidr, contains, formatCidr, networkOf } from '../../../lib/net/cidr.ts';
import type { Range } from '../../../lib/net/range.ts';
import { type StoredPool, storedIn } from '../cluster/stored-pool.ts';
import { networkNameOf, sliceNodeOf, slicePoolName } from '../names.ts';
import type { ClusterNetwork } from './networks.ts';
import { type Allocation, sliceSizeIn } from './slice-plan.ts';

/** A NodeSlicePool that networks want: one for each range that is cut into slices. */
export interface WantedSlices {
  readonly name: string;
  readonly networkName: string;
  readonly range: Cidr;
  readonly size: number;
  /** as it was written first */
  readonly sizeText: string;
  readonly window: Range;
  /** NetworkAttachmentDefinitions that want it */
  readonly nads: readonly string[];
}

export interface SliceFault {
  readonly nads: readonly string[];
  readonly why: string;
}

/** What all networks want; those that contradict each other are told, and do not stop others. */
export function wantedSlices(networks: readonly ClusterNetwork[]): {
  readonly wanted: readonly WantedSlices[];
  readonly faults: readonly SliceFault[];
} {
  const faults: SliceFault[] = [];
  const all = networks.flatMap((network): readonly WantedSlices[] => {
    const base = network.networkName === '' ? network.confName : network.networkName;
    const [first] = network.ranges;
    if (network.sliceSize === '' || first === undefined) {
      return [];
    }
    if (base === '') {
      faults.push({ nads: [network.nad], why: 'it has slices, but neither "network_name" nor "name"' });
      return [];
    }
    return network.ranges.flatMap(({ cidr, window }) => {
      const size = sliceSizeIn(network.sliceSize, cidr);
      if (size === undefined) {
        faults.push({
          nads: [network.nad],
          why: `"node_slice_size" "${network.sliceSize}" is no size of a slice of ${formatCidr(cidr)}`,
        });
        return [];
      }
      const name = slicePoolName(base, cidr, first.cidr);
      const { networkName, sliceSize: sizeText, nad } = network;
      return [{ name, networkName, range: cidr, size, sizeText, window, nads: [nad] }];
    });
  });
  const wanted: WantedSlices[] = [];
  for (const group of Map.groupBy(all, ({ name }) => name).values()) {
    const [one] = group as [WantedSlices];
    const nads = [...new Set(group.flatMap((other) => other.nads))];
    const isSame = group.every(
      ({ range, size, networkName }) =>
        formatCidr(range) === formatCidr(one.range) && size === one.size && networkName === one.networkName,
    );
    if (isSame) {
      wanted.push({
        ...one,
        nads,
        window: around(
          group.map(({ window }) => window),
          one.window,
        ),
      });
    } else {
      faults.push({ nads, why: `NodeSlicePool "${one.name}" is wanted with several ranges or sizes` });
    }
  }
  return { wanted, faults };
}

const around = (windows: readonly Range[], one: Range): Range => ({
  family: one.family,
  first: windows.reduce((first, window) => (window.first < first ? window.first : first), one.first),
  last: windows.reduce((last, window) => (window.last > last ? window.last : last), one.last),
});

/**
 * Slices of which nodes have given out addresses that are still held, whatever NodeSlicePools say: they may have been
 * deleted, or written by others.
 *
 * @param networkNames of all networks: their pools are not slices, though their names may look so
 */
export function liveSlices(
  { networkName, range }: Pick<WantedSlices, 'networkName' | 'range'>,
  pools: readonly StoredPool[],
  networkNames: ReadonlySet<string>,
): readonly Allocation[] {
  return pools.flatMap((pool) => {
    const { name, cidr } = pool;
    const stored = storedIn(pool);
    const nodeName = sliceNodeOf(name, networkName, cidr);
    const isOther = networkNames.has(networkNameOf(name, cidr) ?? '');
    const isWithin = cidr.prefix >= range.prefix && contains(range, networkOf(cidr));
    return stored.length === 0 || nodeName === undefined || isOther || !isWithin
      ? []
      : [{ nodeName, sliceRange: formatCidr(cidr) }];
  });
}
