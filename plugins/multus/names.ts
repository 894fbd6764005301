/**
 * The interface of each network: what was asked for, else CNI_IFNAME for the first and `net<index>` for the others. The
 * index counts all networks.
 */
export function interfaceNames(requested: readonly (string | undefined)[], cniIfName: string): readonly string[] {
  return requested.map((name, index) => name || (index === 0 ? cniIfName : `net${index}`));
}
