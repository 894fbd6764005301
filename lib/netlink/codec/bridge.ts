import { attribute, eachAttribute, HOST_IS_LITTLE as LITTLE, raw, type Type, table, u32 } from '../attributes.ts';

/** <linux/if_bridge.h>, <linux/if_link.h>: bridge ports, in messages of their own family. */
const AF_BRIDGE = 7;
const IFLA_BRIDGE_VLAN_INFO = 2;
/** RTEXT_FILTER_BRVLAN_COMPRESSED: report VLANs, ranges as two entries */
const WITH_VLANS = 4;
const VLAN_IS_PVID = 2;
const VLAN_IS_UNTAGGED = 4;
const VLAN_BEGINS_RANGE = 8;
const IFINFOMSG_BYTES = 16;

/** IFLA_BRPORT_… that can be set; the others are state or one-time actions. */
const SETTINGS: Readonly<Record<number, string>> = {
  2: 'priority',
  3: 'cost',
  4: 'hairpin',
  5: 'guard',
  6: 'root_block',
  7: 'fastleave',
  8: 'learning',
  9: 'flood',
  10: 'proxy_arp',
  11: 'learning_sync',
  12: 'proxy_arp_wifi',
  25: 'mcast_router',
  27: 'mcast_flood',
  28: 'mcast_to_unicast',
  29: 'vlan_tunnel',
  30: 'bcast_flood',
  31: 'group_fwd_mask',
  32: 'neigh_suppress',
  33: 'isolated',
  34: 'backup_port',
  37: 'mcast_eht_hosts_limit',
  39: 'locked',
  40: 'mab',
  42: 'mcast_max_groups',
  43: 'neigh_vlan_suppress',
  44: 'backup_nhid',
};

const nested: Type<Buffer> = { ...raw, nested: true };
const BridgeTable = table({ portInfo: [12, nested], afSpec: [26, raw], extMask: [29, u32] });

/** A VLAN of a port. */
export interface PortVlan {
  readonly id: number;
  /** untagged frames belong to it */
  readonly isPvid: boolean;
  /** its frames leave untagged */
  readonly isUntagged: boolean;
}

/** A bridge's settings of a port. */
export interface BridgePort {
  readonly index: number;
  /** IFLA_BRPORT_… */
  readonly settings: Buffer;
  readonly vlans: readonly PortVlan[];
}

/** A request for the ports of all bridges. */
export const encodePortQuery = (): Uint8Array[] => [head(0), ...BridgeTable.encode({ extMask: WITH_VLANS })];

export function decodePort(body: Buffer): BridgePort {
  const { portInfo = Buffer.alloc(0), afSpec } = BridgeTable.decode(body.subarray(IFINFOMSG_BYTES));
  const index = new DataView(body.buffer, body.byteOffset).getInt32(4, LITTLE);
  return { index, settings: portInfo, vlans: afSpec === undefined ? [] : vlansIn(afSpec) };
}

/** A change of a port or, with RTM_DELLINK, the VLANs to remove. */
export const encodePort = (index: number, { settings, vlans }: Partial<BridgePort>): Uint8Array[] => [
  head(index),
  ...BridgeTable.encode({
    ...(settings === undefined ? {} : { portInfo: settings }),
    ...(vlans === undefined ? {} : { afSpec: Buffer.concat(vlans.map(encodeVlan)) }),
  }),
];

/** The settings of `was` that differ in `now`, each with its name. */
export function differingPortSettings(
  was: Buffer,
  now: Buffer,
): readonly { readonly name: string; readonly setting: Buffer }[] {
  const present = new Map<number, Buffer>();
  eachAttribute(now, (number, value) => present.set(number, value));
  const differing: { readonly name: string; readonly setting: Buffer }[] = [];
  eachAttribute(was, (number, value) => {
    const name = SETTINGS[number];
    if (name !== undefined && present.get(number)?.equals(value) !== true) {
      differing.push({ name, setting: Buffer.from(attribute(number, value, false)) });
    }
  });
  return differing;
}

/** struct bridge_vlan_info: flags, id; a range is its first and last VLAN */
function vlansIn(afSpec: Buffer): readonly PortVlan[] {
  const vlans: PortVlan[] = [];
  let first: number | undefined;
  eachAttribute(afSpec, (number, value) => {
    if (number !== IFLA_BRIDGE_VLAN_INFO) {
      return;
    }
    const words = new DataView(value.buffer, value.byteOffset, value.length);
    const [flags, id] = [words.getUint16(0, LITTLE), words.getUint16(2, LITTLE)];
    if ((flags & VLAN_BEGINS_RANGE) !== 0) {
      first = id;
      return;
    }
    for (let each = first ?? id; each <= id; each++) {
      vlans.push({ id: each, isPvid: (flags & VLAN_IS_PVID) !== 0, isUntagged: (flags & VLAN_IS_UNTAGGED) !== 0 });
    }
    first = undefined;
  });
  return vlans;
}

function encodeVlan({ id, isPvid, isUntagged }: PortVlan): Uint8Array {
  const bytes = Buffer.alloc(4);
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  words.setUint16(0, (isPvid ? VLAN_IS_PVID : 0) | (isUntagged ? VLAN_IS_UNTAGGED : 0), LITTLE);
  words.setUint16(2, id, LITTLE);
  return attribute(IFLA_BRIDGE_VLAN_INFO, bytes, false);
}

/** struct ifinfomsg */
function head(index: number): Buffer {
  const bytes = Buffer.alloc(IFINFOMSG_BYTES);
  bytes.writeUInt8(AF_BRIDGE, 0);
  new DataView(bytes.buffer, bytes.byteOffset).setInt32(4, index, LITTLE);
  return bytes;
}
