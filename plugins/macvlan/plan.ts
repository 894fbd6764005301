import { macIn } from '../../lib/cni/args.ts';
import { CniError } from '../../lib/cni/errors.ts';
import type { LinkPlan } from '../../lib/link/link.ts';
import type { LinkFacts } from '../../lib/link/observe.ts';
import { ethernetMacFault, formatMac, type Mac, parseMac } from '../../lib/net/mac.ts';
import type { MacvlanConf } from './config.ts';

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
  { wantedMac, freeMac }: { readonly wantedMac: string; readonly freeMac: () => Mac | undefined },
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

/** Whoever takes all frames that a link gets: two cannot. A VRF is a master too, and takes none. */
const TAKERS = ['bridge', 'bond', 'team', 'openvswitch', 'hsr'];
const ETHERNET_LENGTH = '02:00:00:00:00:01'.length;

/**
 * Why the parent cannot take a macvlan.
 *
 * @returns a phrase, or undefined
 */
export function parentFault(parent: LinkFacts): string | undefined {
  if (parent.name === 'lo') {
    return 'is the loopback';
  }
  if (parent.mac.length !== ETHERNET_LENGTH) {
    return 'is not an Ethernet device';
  }
  return parent.masterIndex !== undefined && TAKERS.includes(parent.slaveKind)
    ? `is enslaved to a ${parent.slaveKind}`
    : undefined;
}

/**
 * A hardware address that was asked for.
 *
 * @returns undefined for '', which asks for none
 * @throws CniError invalidNetworkConfig
 */
export function readMac(text: string): Mac | undefined {
  if (text === '') {
    return undefined;
  }
  const bytes = parseMac(text);
  const fault = ethernetMacFault(bytes);
  if (bytes === undefined || fault !== undefined) {
    throw new CniError('invalidNetworkConfig', `cannot use "mac" ${JSON.stringify(text)}: it ${fault}`);
  }
  return formatMac(bytes);
}
