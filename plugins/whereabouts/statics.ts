import { badArg } from '../../lib/cni/args.ts';
import { CniError } from '../../lib/cni/errors.ts';
import type { IpConfig } from '../../lib/cni/result.ts';
import type { Version } from '../../lib/cni/versions.ts';
import { type Cidr, contains, formatCidr, parseCidrLenient } from '../../lib/net/cidr.ts';
import { formatIp, type Ip, parseIp, parseIpLenient } from '../../lib/net/ip.ts';
import type { IpamConf } from './config.ts';
import { confFault } from './place.ts';

interface Static {
  readonly address: Cidr;
  readonly gateway: Ip | undefined;
}

/**
 * The addresses that are given as they are: `addresses`, then IP of CNI_ARGS. GATEWAY of CNI_ARGS is the gateway of
 * those whose subnet holds it.
 *
 * @throws CniError invalidNetworkConfig, or badEnv for CNI_ARGS
 */
export function readStatics(
  addresses: IpamConf['addresses'],
  args: Readonly<Record<string, string>>,
  version: Version,
): readonly IpConfig[] {
  const gateways = readGateways(args);
  const statics = [
    ...addresses.map(readConfigured),
    ...listIn(args, 'IP').map((text) => ({
      address: readArg('IP', text, parseCidrLenient, 'a CIDR address'),
      gateway: undefined,
    })),
  ].map((entry) => ({ ...entry, gateway: gateways.findLast((ip) => contains(entry.address, ip)) ?? entry.gateway }));
  refuseSeveralOfOneFamily(statics, version);
  return statics.map(({ address, gateway }) => ({
    address: formatCidr(address),
    ...(gateway === undefined ? {} : { gateway: formatIp(gateway) }),
  }));
}

/** @throws CniError badEnv */
export const readGateways = (args: Readonly<Record<string, string>>): readonly Ip[] =>
  listIn(args, 'GATEWAY').map((text) => readArg('GATEWAY', text, parseIpLenient, 'an IP address'));

function readConfigured(entry: IpamConf['addresses'][number], index: number): Static {
  const key = `ipam.addresses[${index}]`;
  const address = parseCidrLenient(entry.address);
  if (address === undefined) {
    throw confFault(`${key}.address`, entry.address, 'invalid CIDR address');
  }
  const gateway = entry.gateway === '' ? undefined : parseIp(entry.gateway);
  if (gateway === undefined && entry.gateway !== '') {
    throw confFault(`${key}.gateway`, entry.gateway, 'it is not an IP address');
  }
  return { address, gateway };
}

const listIn = (args: Readonly<Record<string, string>>, key: string): readonly string[] =>
  args[key] ? args[key].split(',').map((text) => text.trim()) : [];

function readArg<T>(key: string, text: string, parse: (text: string) => T | undefined, kind: string): T {
  const value = parse(text);
  if (value === undefined) {
    throw badArg(key, text, `is not ${kind}`);
  }
  return value;
}

/** Results of 0.1.0 and 0.2.0 have room for one address of each family. */
function refuseSeveralOfOneFamily(statics: readonly Static[], version: Version): void {
  const counts = ([4, 6] as const).map(
    (family) => statics.filter(({ address }) => address.ip.family === family).length,
  );
  if (version < '0.3.0' && counts.some((count) => count > 1)) {
    throw new CniError(
      'invalidNetworkConfig',
      `cannot use "ipam.addresses": CNI version ${version} does not support more than 1 address per family`,
    );
  }
}
