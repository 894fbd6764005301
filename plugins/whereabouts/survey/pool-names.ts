import type { KubeObject } from '../../../lib/kube/api.ts';
import { type Cidr, formatCidr, masked, parseCidr } from '../../../lib/net/cidr.ts';
import { networkNameOf } from '../names.ts';

/** A range that is divided among nodes: NodeSlicePool. */
export interface SliceTable extends KubeObject {
  readonly spec?: { readonly range?: string; readonly sliceSize?: string };
  readonly status?: { readonly allocations?: readonly { readonly nodeName?: string; readonly sliceRange?: string }[] };
}

/** Whose pool it is. */
export interface PoolIdentity {
  readonly networkName: string;
  /** whose slice; '' for a whole range */
  readonly node: string;
}

/** What configurations say of a network. */
export interface NamedNetwork {
  readonly networkName: string;
  /** '' without slices */
  readonly sliceSize: string;
}

/**
 * Whose pool bears this name. That of a slice is `blue-w-7-10.40.3.0-26`, for the network `blue` and the node `w-7`: where
 * one ends is what the tables of slices say, else configurations; else it is a network of that name.
 *
 * @returns undefined when it is not the name of a pool of that range
 */
export function identify(
  name: string,
  cidr: Cidr,
  tables: readonly SliceTable[],
  networks: readonly NamedNetwork[],
): PoolIdentity | undefined {
  const prefix = networkNameOf(name, cidr);
  if (prefix === undefined || prefix === '') {
    return prefix === undefined ? undefined : { networkName: '', node: '' };
  }
  return (
    inTables(prefix, formatCidr(cidr), tables) ?? inNetworks(prefix, networks) ?? { networkName: prefix, node: '' }
  );
}

/**
 * The table of a network without a name bears that of the configuration, which pools do not; those of further ranges have
 * the range in their names.
 */
function inTables(prefix: string, range: string, tables: readonly SliceTable[]): PoolIdentity | undefined {
  for (const { metadata, spec, status } of tables) {
    const whole = parseCidr(spec?.range ?? '');
    const base = (whole && networkNameOf(metadata.name, masked(whole))) || metadata.name;
    for (const { nodeName: node = '', sliceRange = '' } of status?.allocations ?? []) {
      const slice = parseCidr(sliceRange);
      if (node === '' || slice === undefined || formatCidr(masked(slice)) !== range) {
        continue;
      }
      if (prefix === node) {
        return { networkName: '', node };
      }
      if (prefix === `${base}-${node}`) {
        return { networkName: base, node };
      }
    }
  }
  return undefined;
}

/** The longest name of a network with slices; a network of exactly that name has none. */
function inNetworks(prefix: string, networks: readonly NamedNetwork[]): PoolIdentity | undefined {
  if (networks.some(({ networkName, sliceSize }) => sliceSize === '' && networkName === prefix)) {
    return { networkName: prefix, node: '' };
  }
  const sliced = networks.filter(({ sliceSize }) => sliceSize !== '').map(({ networkName }) => networkName);
  const [own] = sliced
    .filter((networkName) => networkName === '' || prefix.startsWith(`${networkName}-`))
    .sort((a, b) => b.length - a.length);
  return own === undefined ? undefined : { networkName: own, node: own === '' ? prefix : prefix.slice(own.length + 1) };
}
