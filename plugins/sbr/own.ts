import type { IpConfig, Result } from '../../lib/cni/result.ts';
import { cidrOf } from '../../lib/cni/result.ts';
import type { Cidr } from '../../lib/net/cidr.ts';
import { type Ip, parseIp } from '../../lib/net/ip.ts';

/** An address of the attachment's interface. */
export interface OwnAddress {
  readonly address: Cidr;
  readonly gateway: Ip | undefined;
}

/** The addresses of an interface in a result; one that names no interface, or none of the result's, is its own too. */
export const ownAddresses = ({ ips, interfaces }: Result, ifName: string): readonly OwnAddress[] =>
  ips.filter((ip) => isOf(ip, interfaces, ifName)).map(ownAddress);

function isOf({ interface: index }: IpConfig, interfaces: Result['interfaces'], ifName: string): boolean {
  const named = index === undefined ? undefined : interfaces[index];
  return named === undefined || named.name === ifName;
}

const ownAddress = (ip: IpConfig): OwnAddress => ({
  address: cidrOf(ip),
  gateway: ip.gateway === undefined ? undefined : parseIp(ip.gateway),
});
