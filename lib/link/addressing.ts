import { closeSync, constants, readSync } from 'node:fs';
import { CniError, messageOf } from '../cni/errors.ts';
import type { IpConfig, Result, Route } from '../cni/result.ts';
import { type Cidr, formatCidr, lastAddress, masked, parseCidr } from '../net/cidr.ts';
import { type Family, formatIp, type Ip, ipToBytes, parseIp } from '../net/ip.ts';
import { encodeAddress, RTM_NEWADDR } from '../netlink/codec/address.ts';
import { AF_INET, AF_INET6, NLM_F_CREATE, NLM_F_EXCL } from '../netlink/constants.ts';
import type { Request } from '../netlink/conversation.ts';
import type { Netns, Sysctl } from '../netns/netns.ts';
import type { LinkSetup } from './batches.ts';
import { type DownLink, settingUp } from './link.ts';
import { addingRoute, type RoutePlan } from './routes.ts';

/** A subnet of two addresses or one has no broadcast address (RFC 3021). */
const LONGEST_WITH_BROADCAST = 30;

/** The addresses and routes that a link should have. */
export interface AddressPlan {
  readonly addresses: readonly Cidr[];
  readonly routes: readonly RoutePlan[];
}

/**
 * What a result asks of one of its interfaces: its addresses, and all routes; a route without gateway takes the first
 * gateway of its family.
 *
 * @throws CniError invalidNetworkConfig when the result contradicts itself
 */
export function planAddresses(result: Result, ifName: string): AddressPlan {
  const addresses = result.ips.filter((ip) => ip.interface !== undefined).map((ip) => addressOf(ip, result, ifName));
  const gateways = result.ips.flatMap(({ gateway }) => (gateway === undefined ? [] : [gatewayOf(gateway)]));
  return { addresses, routes: result.routes.map((route) => planRoute(route, gateways)) };
}

/**
 * What gives a link its addresses, sets it up and adds its routes, in this order; its addresses are announced.
 *
 * @throws ErrnoError when IPv6 is off and cannot be turned on
 */
export function configuring(netns: Netns, link: DownLink, plan: AddressPlan, log: (line: string) => void): LinkSetup {
  if (plan.addresses.some(({ ip }) => ip.family === 6)) {
    enableIpv6(netns, link.name, log);
  }
  return {
    sysctls: announcing(link.name),
    requests: [
      ...plan.addresses.map((address) => addingAddress(link, address)),
      settingUp(link),
      ...plan.routes.map((route) => addingRoute(link.index, route, routeText(route, link.name))),
    ],
  };
}

/**
 * Asks the kernel to announce the link's addresses (gratuitous ARP, unsolicited neighbour advertisement) when it goes
 * up. Best effort: a kernel without IPv6 has no such switch.
 */
export function announceWhenUp(netns: Netns, ifName: string): void {
  netns.writeSysctls(announcing(ifName));
}

const announcing = (ifName: string): readonly Sysctl[] => [
  [`net/ipv4/conf/${ifName}/arp_notify`, '1'],
  [`net/ipv6/conf/${ifName}/ndisc_notify`, '1'],
];

export const routeText = (route: RoutePlan, ifName: string): string =>
  [
    formatCidr(route.destination),
    ...(route.gateway === undefined ? [] : [`via ${formatIp(route.gateway)}`]),
    `dev ${ifName}`,
    ...(route.table === undefined ? [] : [`table ${route.table}`]),
    ...(route.priority ? [`metric ${route.priority}`] : []),
  ].join(' ');

export interface LinkRef {
  readonly index: number;
  readonly name: string;
}

function addressOf(ip: IpConfig, result: Result, ifName: string): Cidr {
  const owner = result.interfaces[ip.interface ?? -1];
  if (owner?.name !== ifName) {
    throw new CniError(
      'invalidNetworkConfig',
      `cannot use address "${ip.address}": its interface ${ip.interface} is not "${ifName}"`,
    );
  }
  const cidr = parseCidr(ip.address);
  if (cidr === undefined) {
    throw new CniError('invalidNetworkConfig', `cannot use address "${ip.address}": it is not a CIDR`);
  }
  return cidr;
}

function planRoute(route: Route, gateways: readonly Ip[]): RoutePlan {
  const destination = parseCidr(route.dst);
  if (destination === undefined) {
    throw new CniError('invalidNetworkConfig', `cannot use route "${route.dst}": it is not a CIDR`);
  }
  const family: Family = destination.ip.family;
  return {
    destination: masked(destination),
    ...(route.gw === undefined
      ? { gateway: gateways.find((ip) => ip.family === family), isGuess: true }
      : { gateway: gatewayOf(route.gw) }),
    mtu: route.mtu,
    advmss: route.advmss,
    priority: route.priority,
    table: route.table || undefined,
    scope: route.scope ?? 0,
  };
}

function gatewayOf(text: string): Ip {
  const gateway = parseIp(text);
  if (gateway === undefined) {
    throw new CniError('invalidNetworkConfig', `cannot use gateway ${JSON.stringify(text)}: it is not an address`);
  }
  return gateway;
}

function addingAddress(link: LinkRef, address: Cidr): Request {
  const bytes = ipToBytes(address.ip);
  const hasBroadcast = address.ip.family === 4 && address.prefix <= LONGEST_WITH_BROADCAST;
  const head = { family: address.ip.family === 4 ? AF_INET : AF_INET6, prefix: address.prefix, index: link.index };
  return {
    type: RTM_NEWADDR,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: encodeAddress(head, {
      address: bytes,
      local: bytes,
      ...(hasBroadcast ? { broadcast: ipToBytes(lastAddress(address)) } : {}),
    }),
    operation: `add address ${formatCidr(address)} to "${link.name}"`,
    whenDone: 'EEXIST',
  };
}

function enableIpv6(netns: Netns, ifName: string, log: (line: string) => void): void {
  for (const name of ['lo', ifName]) {
    const key = `net/ipv6/conf/${name}/disable_ipv6`;
    let value: string;
    try {
      value = readSysctl(netns, key);
    } catch (error) {
      log(`cannot read sysctl ${key}: ${messageOf(error)}`);
      continue;
    }
    if (value !== '0') {
      netns.writeSysctl(key, '0');
    }
  }
  netns.writeSysctl(`net/ipv6/conf/${ifName}/keep_addr_on_down`, '1');
}

function readSysctl(netns: Netns, name: string): string {
  const fd = netns.openFile(`/proc/sys/${name}`, constants.O_RDONLY);
  try {
    const buffer = Buffer.alloc(4096);
    return buffer.toString('utf8', 0, readSync(fd, buffer)).trim();
  } finally {
    closeSync(fd);
  }
}
