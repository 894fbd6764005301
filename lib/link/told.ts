import { formatCidr } from '../net/cidr.ts';
import { formatIp, type Ip, ipFromBytes } from '../net/ip.ts';
import { decodeAddress } from '../netlink/codec/address.ts';
import { decodeRoute, RT_TABLE_MAIN } from '../netlink/codec/route.ts';
import { decodeRule } from '../netlink/codec/rule.ts';
import { AF_INET } from '../netlink/constants.ts';

/* Messages of the kernel, in the words of ip(8): for errors and logs. */

/** The address of a link; undefined when the message has none. */
export function addressIn(body: Buffer): Ip | undefined {
  const { local, address } = decodeAddress(body).attributes;
  const bytes = local ?? address;
  return bytes === undefined ? undefined : ipFromBytes(bytes);
}

/** `192.0.2.5/24` */
export function addressText(body: Buffer): string {
  const ip = addressIn(body);
  return ip === undefined ? 'without address' : formatCidr({ ip, prefix: decodeAddress(body).prefix });
}

/** `198.51.100.0/24 via 192.0.2.1 table 300 metric 50` */
export function routeText(body: Buffer): string {
  const { family, prefix, tos, table, attributes } = decodeRoute(body);
  const { destination, gateway, priority, source, multipath } = attributes;
  const zero: Ip = { family: family === AF_INET ? 4 : 6, value: 0n };
  return [
    formatCidr({ ip: destination === undefined ? zero : ipFromBytes(destination), prefix }),
    ...(gateway === undefined ? [] : [`via ${formatIp(ipFromBytes(gateway))}`]),
    ...(multipath === undefined ? [] : ['with several next hops']),
    ...(table === RT_TABLE_MAIN ? [] : [`table ${table}`]),
    ...(tos === 0 ? [] : [`tos 0x${tos.toString(16)}`]),
    ...(priority ? [`metric ${priority}`] : []),
    ...(source === undefined ? [] : [`src ${formatIp(ipFromBytes(source))}`]),
  ].join(' ');
}

/** `from 192.0.2.5/32 lookup 300 pref 1000` */
export function ruleText(body: Buffer): string {
  const { sourcePrefix, destinationPrefix, table, attributes } = decodeRule(body);
  const { source, destination, priority } = attributes;
  return [
    `from ${source === undefined ? 'all' : `${formatIp(ipFromBytes(source))}/${sourcePrefix}`}`,
    ...(destination === undefined ? [] : [`to ${formatIp(ipFromBytes(destination))}/${destinationPrefix}`]),
    `lookup ${table}`,
    ...(priority === undefined ? [] : [`pref ${priority}`]),
  ].join(' ');
}
