import { badArg, parseCniArgs } from '../../lib/cni/args.ts';
import { CniError, quoted } from '../../lib/cni/errors.ts';
import type { IpConfig, Result } from '../../lib/cni/result.ts';
import type { Version } from '../../lib/cni/versions.ts';
import { type Cidr, contains, formatCidr, parseCidr } from '../../lib/net/cidr.ts';
import { formatIp, type Ip, parseIp } from '../../lib/net/ip.ts';
import type { StaticConf } from './config.ts';

/** What a call says of addresses. */
export interface Asked {
  readonly conf: StaticConf;
  /** CNI_ARGS; '' for STATUS, which has none */
  readonly args: string;
  readonly version: Version;
}

interface Given {
  readonly address: Cidr;
  readonly gateway: Ip | undefined;
}

/**
 * The result: `ipam.addresses` and then IP of CNI_ARGS; instead of all these `args.cni.ips`; instead of all
 * `runtimeConfig.ips`. What is not used is not read, as the Go plugin does not: a template may stand in its place.
 *
 * @throws CniError invalidNetworkConfig, or badEnv for CNI_ARGS
 */
export function planResult({ conf, args, version }: Asked): Result {
  const { ipam, args: more, runtimeConfig } = conf;
  if (ipam === undefined) {
    throw new CniError('invalidNetworkConfig', "IPAM config missing 'ipam' key"); // the Go plugin's words
  }
  const ofArgs = readArgs(parseCniArgs(args, ['IP', 'GATEWAY']));
  const asked = readIps('args.cni.ips', more?.cni?.ips ?? []);
  const supplied = readIps('runtimeConfig.ips', runtimeConfig?.ips ?? []);
  const instead = [supplied, asked].find((list) => list.length > 0);
  const given = instead ?? [...ipam.addresses.map(readConfigured), ...ofArgs];
  refuseSeveralOfOneFamily(given, version);
  return { interfaces: [], ips: given.map(ipConfigOf), routes: ipam.routes, dns: ipam.dns };
}

function readConfigured({ address, gateway }: { address: string; gateway: string }, index: number): Given {
  const key = `ipam.addresses.${index}`;
  const via = gateway === '' ? undefined : parseIp(gateway);
  if (via === undefined && gateway !== '') {
    throw fault(`${key}.gateway`, gateway, 'is not an IP address');
  }
  return { address: cidrAt(`${key}.address`, address), gateway: via };
}

/** GATEWAY is for the addresses of IP whose subnet has it, not for those of the configuration. */
function readArgs(args: Readonly<Record<string, string>>): readonly Given[] {
  const gateways = listIn(args, 'GATEWAY').map((text) => {
    const ip = parseIp(text);
    if (ip === undefined) {
      throw badArg('GATEWAY', text, 'is not an IP address');
    }
    return ip;
  });
  return listIn(args, 'IP').map((text) => {
    const address = parseCidr(text);
    if (address === undefined) {
      throw badArg('IP', text, 'is not an address with its prefix length');
    }
    return { address, gateway: gateways.findLast((ip) => contains(address, ip)) };
  });
}

const listIn = (args: Readonly<Record<string, string>>, key: string): readonly string[] =>
  args[key] ? args[key].split(',').map((text) => text.trim()) : [];

const readIps = (key: string, texts: readonly string[]): readonly Given[] =>
  texts.map((text, index) => ({ address: cidrAt(`${key}.${index}`, text), gateway: undefined }));

function cidrAt(key: string, text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr === undefined) {
    throw fault(key, text, 'is not an address with its prefix length');
  }
  return cidr;
}

/** Results of 0.1.0 and 0.2.0 have room for one address of each family. */
function refuseSeveralOfOneFamily(given: readonly Given[], version: Version): void {
  for (const family of [4, 6] as const) {
    const own = given.filter(({ address }) => address.ip.family === family);
    if (version < '0.3.0' && own.length > 1) {
      const texts = own.map(({ address }) => formatCidr(address)).join(', ');
      throw new CniError(
        'invalidNetworkConfig',
        `cannot give ${texts}: CNI version ${version} does not support more than 1 address per family`,
      );
    }
  }
}

const ipConfigOf = ({ address, gateway }: Given): IpConfig => ({
  address: formatCidr(address),
  ...(gateway === undefined ? {} : { gateway: formatIp(gateway) }),
});

const fault = (key: string, value: string, what: string): CniError =>
  new CniError('invalidNetworkConfig', `cannot use "${key}": ${quoted(value)} ${what}`);

/**
 * What CHECK has against the result of ADD: each address must be in it, with the gateway that it was given, if any.
 *
 * @returns undefined when nothing is wrong
 */
export function checkFault(wanted: readonly IpConfig[], found: readonly IpConfig[]): string | undefined {
  for (const { address, gateway } of wanted) {
    const like = found.filter((ip) => ipOf(ip) === ipOf({ address }));
    if (like.length === 0) {
      return `prevResult has no address ${address}`;
    }
    if (gateway !== undefined && !like.some((ip) => ip.gateway === gateway)) {
      return `prevResult gives address ${address} the gateway ${like[0]?.gateway ?? '""'}, not ${gateway}`;
    }
  }
  return undefined;
}

/** Prefix lengths are not compared, as the Go plugin does not: a chained plugin may have changed them. */
const ipOf = ({ address }: Pick<IpConfig, 'address'>): string => address.replace(/\/\d+$/, '');
