import { macIn, parseCniArgs } from '../../lib/cni/args.ts';
import type { PodCall } from '../../lib/cni/call.ts';
import { CniError } from '../../lib/cni/errors.ts';
import { ethernetMacFault, formatMac, type Mac, parseMac, randomMac } from '../../lib/net/mac.ts';
import type { MacvlanConf } from './config.ts';

/**
 * The hardware address that the link shall have: the one that is asked for, and in ADD else a random one, but in passthru
 * mode, where parent and link have one address.
 *
 * @throws CniError as {@link askedMacOf}
 */
export function macOf(call: PodCall<MacvlanConf>): Mac | undefined {
  const isFree = call.verb === 'ADD' && call.conf.mode !== 'passthru';
  return askedMacOf(call) ?? (isFree ? formatMac(randomMac()) : undefined);
}

/**
 * The hardware address that is asked for: the runtime's wish beats CNI_ARGS, which beats the configuration.
 *
 * @returns undefined when none is
 * @throws CniError badEnv for CNI_ARGS, invalidNetworkConfig for the others
 */
export function askedMacOf({ conf, args }: Pick<PodCall<MacvlanConf>, 'conf' | 'args'>): Mac | undefined {
  const known = parseCniArgs(args, ['MAC']);
  return readMac(conf.runtimeConfig?.mac || macIn(known) || conf.mac);
}

function readMac(text: string): Mac | undefined {
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
