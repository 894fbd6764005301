/**
 * The interface of each network: what was asked for, else CNI_IFNAME for the first and `net<index>` for the others. The
 * index counts all networks.
 */
export function interfaceNames(requested: readonly (string | undefined)[], cniIfName: string): readonly string[] {
  return requested.map((name, index) => name || (index === 0 ? cniIfName : `net${index}`));
}

/** More than pods have. */
const MOST_NETWORKS = 64;

/** Every name that a network may get that asks for none. */
export const possibleNames = (cniIfName: string): readonly string[] =>
  interfaceNames(new Array<undefined>(MOST_NETWORKS).fill(undefined), cniIfName);
