/** For tests on the real kernel: a router that advertises itself on a link. */
import { type Ip, ipToBytes, parseIp } from '../net/ip.ts';
import type { Netns } from '../netns/netns.ts';

/** RFC 4191: two bits */
const PREFERENCES = { low: 0b11, medium: 0b00, high: 0b01 } as const;
const ETH_P_IPV6 = 0x86dd;
const ICMPV6 = 58;
const ROUTER_ADVERTISEMENT = 134;
const ALL_NODES_MAC = Buffer.from('333300000001', 'hex');
const ON_LINK_AND_AUTONOMOUS = 0xc0;

/** A router's advertisement. */
export interface Advertised {
  /** its link-local address */
  readonly from: string;
  readonly preference?: keyof typeof PREFERENCES;
  /** /64, for autoconfiguration */
  readonly prefix?: string;
}

/** @param link the router's end of it */
export function advertise(
  netns: Netns,
  link: { readonly index: number; readonly name: string },
  said: Advertised,
): void {
  const { from, preference = 'medium', prefix } = said;
  const lifetimeS = 1800;
  const message = Buffer.alloc(16);
  message.writeUInt8(ROUTER_ADVERTISEMENT, 0);
  message.writeUInt8(64, 4); // hop limit
  message.writeUInt8(PREFERENCES[preference] << 3, 5);
  message.writeUInt16BE(lifetimeS, 6);
  const body = Buffer.concat([message, ...(prefix === undefined ? [] : [prefixOption(prefix)])]);
  const [source, target] = [bytesOf(from), bytesOf('ff02::1')];
  const pseudo = Buffer.concat([source, target, Buffer.from([0, 0, 0, body.length, 0, 0, 0, ICMPV6])]);
  body.writeUInt16BE(checksumOf(Buffer.concat([pseudo, body])), 2);
  const header = Buffer.from([0x60, 0, 0, 0, 0, body.length, ICMPV6, 255]);
  const payload = Buffer.concat([header, source, target, body]);
  netns.sendFrame(link, { etherType: ETH_P_IPV6, destination: ALL_NODES_MAC, payload });
}

/** RFC 4861, section 4.6.2 */
function prefixOption(prefix: string): Buffer {
  const option = Buffer.alloc(32);
  option.set([3, 4, 64, ON_LINK_AND_AUTONOMOUS]);
  option.writeUInt32BE(7200, 4); // valid
  option.writeUInt32BE(3600, 8); // preferred
  option.set(bytesOf(prefix), 16);
  return option;
}

function bytesOf(text: string): Buffer {
  const ip: Ip | undefined = parseIp(text);
  if (ip === undefined) {
    throw new TypeError(`"${text}" is not an address`);
  }
  return ipToBytes(ip);
}

/** RFC 1071. All input has an even length. */
function checksumOf(bytes: Buffer): number {
  let sum = 0;
  for (let offset = 0; offset < bytes.length; offset += 2) {
    sum += bytes.readUInt16BE(offset);
  }
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >>> 16);
  }
  return ~sum & 0xffff;
}
