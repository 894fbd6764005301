import { messageOf } from '../cni/errors.ts';
import { type Ip, ipToBytes } from '../net/ip.ts';
import { type Mac, macBytes } from '../net/mac.ts';
import { hasErrno } from '../netlink/errno.ts';
import type { Frame, Netns } from '../netns/netns.ts';
import { type Clock, poll } from '../sys/clock.ts';

const ETH_P_ARP = 0x0806;
const ETH_P_IPV6 = 0x86dd;
const ETHERNET_BYTES = 6;
const BROADCAST = Buffer.alloc(ETHERNET_BYTES, 0xff);
/** ff02::1 and where it goes on Ethernet (RFC 2464) */
const ALL_NODES = Buffer.from('ff020000000000000000000000000001', 'hex');
const ALL_NODES_MAC = Buffer.from('333300000001', 'hex');
const ICMPV6 = 58;
const NEIGHBOUR_ADVERTISEMENT = 136;
const OVERRIDE = 0x20;
const TARGET_LINK_LAYER_ADDRESS = 2;
const CARRIER_WAIT_MS = 200;
const CARRIER_RHYTHM = { firstMs: 2, longestMs: 32 };

/** What is announced, on what, and how to wait. */
export interface Announcement {
  readonly netns: Netns;
  readonly link: { readonly index: number; readonly name: string };
  readonly mac: Mac | '';
  readonly addresses: readonly Ip[];
  readonly clock: Clock;
  readonly log: (line: string) => void;
}

/**
 * Tells the neighbours where addresses are now: an address that another pod had yesterday is in their caches. Waits for
 * the link's carrier, but not for long. Best effort: what fails is logged.
 */
export async function announce({ netns, link, mac, addresses, clock, log }: Announcement): Promise<void> {
  const bytes = mac === '' ? Buffer.alloc(0) : macBytes(mac);
  if (!isEthernet(bytes)) {
    return;
  }
  try {
    for (const address of addresses) {
      const frame = address.family === 4 ? gratuitousArp(bytes, address) : unsolicitedAdvertisement(bytes, address);
      await sendWithCarrier(netns, link, frame, clock);
    }
  } catch (error) {
    log(`cannot announce the addresses of "${link.name}": ${messageOf(error)}`);
  }
}

/** RFC 5227, section 3: a request for the sender's own address. */
export function gratuitousArp(mac: Buffer, ip: Ip): Frame {
  const address = ipToBytes(ip);
  const ethernetForIpv4 = Buffer.from('0001080006040001', 'hex');
  return {
    etherType: ETH_P_ARP,
    destination: BROADCAST,
    payload: Buffer.concat([ethernetForIpv4, mac, address, BROADCAST, address]),
  };
}

/** RFC 4861, section 7.2.6: a neighbour advertisement that nobody asked for, to all nodes on the link. */
export function unsolicitedAdvertisement(mac: Buffer, ip: Ip): Frame {
  const address = ipToBytes(ip);
  const message = Buffer.concat([
    Buffer.from([NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, OVERRIDE, 0, 0, 0]),
    address,
    Buffer.from([TARGET_LINK_LAYER_ADDRESS, 1]),
    mac,
  ]);
  const length = Buffer.from([0, 0, 0, message.length]);
  const pseudoHeader = Buffer.concat([address, ALL_NODES, length, Buffer.from([0, 0, 0, ICMPV6])]);
  message.writeUInt16BE(checksumOf(Buffer.concat([pseudoHeader, message])), 2);
  const header = Buffer.from([0x60, 0, 0, 0, 0, message.length, ICMPV6, 255]); // version, hop limit
  return {
    etherType: ETH_P_IPV6,
    destination: ALL_NODES_MAC,
    payload: Buffer.concat([header, address, ALL_NODES, message]),
  };
}

/** The kernel is asked by sending: it says whether there is carrier. */
async function sendWithCarrier(
  netns: Netns,
  link: { readonly index: number; readonly name: string },
  frame: Frame,
  clock: Clock,
): Promise<void> {
  let failure: unknown;
  const isSent = await poll(clock, CARRIER_WAIT_MS, CARRIER_RHYTHM, () => {
    try {
      netns.sendFrame(link, frame);
      return true;
    } catch (error) {
      if (!hasErrno(error, 'ENETDOWN')) {
        throw error;
      }
      failure = error;
      return undefined;
    }
  });
  if (!isSent) {
    throw failure;
  }
}

const isEthernet = (mac: Buffer): boolean =>
  mac.length === ETHERNET_BYTES && [0, 0xff].every((value) => mac.some((byte) => byte !== value));

/** RFC 1071. All that is summed here has an even length. */
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
