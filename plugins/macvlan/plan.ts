import { macIn } from '../../lib/cni/args.ts';
import { CniError } from '../../lib/cni/errors.ts';
import type { LinkPlan } from '../../lib/link/link.ts';
import type { LinkFacts } from '../../lib/link/observe.ts';
import { formatMac, isMulticastMac, parseMac } from '../../lib/net/mac.ts';
import type { MacvlanConf } from './config.ts';

const ETHERNET_BYTES = 6;

/**
 * What the link should be.
 *
 * @param wantedMac what was asked for, '' when nothing was
 * @param freeMac makes the address for a link that asks for none
 * @throws CniError invalidNetworkConfig
 */
export function planMacvlan(
  conf: MacvlanConf,
  name: string,
  parent: LinkFacts,
  { wantedMac, freeMac }: { readonly wantedMac: string; readonly freeMac: () => string },
): LinkPlan {
  if (conf.mtu > parent.mtu) {
    throw new CniError(
      'invalidNetworkConfig',
      `cannot use "mtu" ${conf.mtu}: parent "${parent.name}" has ${parent.mtu}, and 0 takes that`,
    );
  }
  return {
    name,
    parent,
    mode: conf.mode,
    mtu: conf.mtu || undefined,
    mac: readMac(wantedMac) ?? (conf.mode === 'passthru' ? undefined : freeMac()),
    broadcastQueueLength: conf.bcqueuelen,
  };
}

/**
 * The runtime's wish beats CNI_ARGS, which beats the configuration.
 *
 * @throws CniError badEnv when CNI_ARGS decide, and what they say is no address
 */
export const wantedMacOf = (conf: MacvlanConf, args: Readonly<Record<string, string>>): string =>
  conf.runtimeConfig?.mac || macIn(args) || conf.mac;

/**
 * Why the parent cannot take a macvlan.
 *
 * @returns a phrase, or undefined
 */
export function parentFault(parent: LinkFacts): string | undefined {
  const takers = ['bridge', 'bond', 'team', 'openvswitch'];
  return parent.masterIndex !== undefined && takers.includes(parent.slaveKind)
    ? `is enslaved to a ${parent.slaveKind}`
    : undefined;
}

/**
 * A hardware address that was asked for.
 *
 * @returns undefined for '', which asks for none
 * @throws CniError invalidNetworkConfig
 */
export function readMac(text: string): string | undefined {
  if (text === '') {
    return undefined;
  }
  const bytes = parseMac(text);
  if (bytes === undefined || bytes.length !== ETHERNET_BYTES) {
    throw new CniError('invalidNetworkConfig', `cannot use "mac" "${text}": it is not an Ethernet address`);
  }
  if (isMulticastMac(bytes)) {
    throw new CniError('invalidNetworkConfig', `cannot use "mac" "${text}": it is a multicast address`);
  }
  return formatMac(bytes);
}
