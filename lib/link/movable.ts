import type { Mac } from '../net/mac.ts';
import { decodeLink, encodeLink, IFF_LOOPBACK, RTM_GETLINK, WITHOUT_STATS } from '../netlink/codec/link.ts';
import type { Conversation } from '../netlink/conversation.ts';
import { type DeviceFacts, deviceOf } from './device.ts';

/** Kinds that belong to their namespace, for kernels before 6.15, which do not say it of each link. */
const IMMOVABLE_KINDS = ['bridge', 'bond', 'team', 'vrf', 'openvswitch', 'batadv', 'hsr', 'ppp'];

/** A link, and whether it can leave its namespace. */
export interface Candidate {
  readonly device: DeviceFacts;
  readonly isMovable: boolean;
}

/** Every link with this hardware address, in the order of their indexes: a bridge has that of one of its ports. */
export async function findByMac(netlink: Conversation, mac: Mac): Promise<readonly Candidate[]> {
  const body = encodeLink({}, { extMask: WITHOUT_STATS });
  return (await netlink.dump({ type: RTM_GETLINK, body, operation: 'list links' }))
    .map(candidateOf)
    .filter(({ device }) => device.mac === mac);
}

/** @throws ErrnoError ENODEV when it is gone */
export async function isMovable(netlink: Conversation, index: number): Promise<boolean> {
  const body = encodeLink({ index }, { extMask: WITHOUT_STATS });
  return candidateOf(await netlink.ask({ type: RTM_GETLINK, body, operation: `look up link ${index}` })).isMovable;
}

function candidateOf(answer: Buffer): Candidate {
  const device = deviceOf(answer);
  const { netnsImmutable } = decodeLink(answer).attributes;
  const isImmovable =
    netnsImmutable === undefined
      ? (device.flags & IFF_LOOPBACK) !== 0 || IMMOVABLE_KINDS.includes(device.kind)
      : netnsImmutable !== 0;
  return { device, isMovable: !isImmovable };
}
