import { type AttributesOf, HOST_IS_LITTLE as LITTLE, nest, raw, type Type, table, u32 } from '../attributes.ts';
import { encodeLink } from './link.ts';

/** <linux/if_link.h>: structs in C layout, the number of the VF first. */
const IFLA_NUM_VF = 21;
const IFLA_VFINFO_LIST = 22;
const IFLA_VF_INFO = 1;
const IFLA_VF_VLAN_INFO = 1;
const HEADER_BYTES = 16;
const ATTRIBUTE_HEADER = 4;
const ATTRIBUTE_NUMBER = 0x3fff;
const MAX_ADDR_LEN = 32;

/** RTEXT_FILTER_VF: include VFs. RTEXT_FILTER_SKIP_STATS keeps their entries short. */
export const WITH_VFS = 1 | 8;

/** The kernel's value of an attribute that the driver does not support. */
export const UNSUPPORTED = 0xffff_ffff;

export const ETH_P_8021Q = 0x8100;
export const ETH_P_8021AD = 0x88a8;

/** IFLA_VF_LINK_STATE_… */
export const LINK_STATES = { auto: 0, enable: 1, disable: 2 } as const;

/** A struct of 32-bit numbers. */
function numbers<const K extends string>(...names: readonly K[]): Type<Readonly<Record<K, number>>> {
  return {
    nested: false,
    encode: (value) => new Uint8Array(Uint32Array.from(names, (name) => value[name]).buffer),
    decode: (bytes) => {
      const words = wordsOf(bytes, names.length);
      return Object.fromEntries(names.map((name, index) => [name, words[index] ?? 0])) as Record<K, number>;
    },
  };
}

/** struct ifla_vf_mac */
const vfMac: Type<{ readonly vf: number; readonly mac: Buffer }> = {
  nested: false,
  encode: ({ vf, mac }) => {
    const bytes = Buffer.alloc(4 + MAX_ADDR_LEN);
    view(bytes).setUint32(0, vf, LITTLE);
    mac.copy(bytes, 4, 0, MAX_ADDR_LEN);
    return bytes;
  },
  decode: (bytes) => ({ vf: wordsOf(bytes, 1)[0] ?? 0, mac: bytes.subarray(4, 4 + MAX_ADDR_LEN) }),
};

/** struct ifla_vf_vlan_info: the protocol in network byte order, and two bytes of padding that newer kernels require */
const vlanInfo: Type<{ readonly vf: number; readonly vlan: number; readonly qos: number; readonly protocol: number }> =
  {
    nested: false,
    encode: ({ vf, vlan, qos, protocol }) => {
      const bytes = Buffer.alloc(16);
      for (const [index, value] of [vf, vlan, qos].entries()) {
        view(bytes).setUint32(index * 4, value, LITTLE);
      }
      bytes.writeUInt16BE(protocol, 12);
      return bytes;
    },
    decode: (bytes) => {
      const [vf = 0, vlan = 0, qos = 0] = wordsOf(bytes, 3);
      return { vf, vlan, qos, protocol: bytes.length < 14 ? ETH_P_8021Q : bytes.readUInt16BE(12) };
    },
  };

/** struct ifla_vf_guid */
const vfGuid: Type<{ readonly vf: number; readonly guid: bigint }> = {
  nested: false,
  encode: ({ vf, guid }) => {
    const bytes = Buffer.alloc(16);
    view(bytes).setUint32(0, vf, LITTLE);
    view(bytes).setBigUint64(8, guid, LITTLE);
    return bytes;
  },
  decode: (bytes) => ({
    vf: wordsOf(bytes, 1)[0] ?? 0,
    guid: bytes.length < 16 ? 0n : view(bytes).getBigUint64(8, LITTLE),
  }),
};

const VlanListTable = table({ info: [IFLA_VF_VLAN_INFO, vlanInfo] });

export const VfTable = table({
  mac: [1, vfMac],
  vlan: [2, numbers('vf', 'vlan', 'qos')],
  txRate: [3, numbers('vf', 'max')],
  spoofCheck: [4, numbers('vf', 'setting')],
  linkState: [5, numbers('vf', 'state')],
  rate: [6, numbers('vf', 'min', 'max')],
  rssQuery: [7, numbers('vf', 'setting')],
  trust: [9, numbers('vf', 'setting')],
  nodeGuid: [10, vfGuid],
  portGuid: [11, vfGuid],
  vlanList: [12, nest(VlanListTable)],
  broadcast: [13, raw],
});
export type VfAttributes = AttributesOf<typeof VfTable>;

const VfListTable = table({ info: [IFLA_VF_INFO, nest(VfTable)] });
const PfTable = table({ count: [IFLA_NUM_VF, u32], list: [IFLA_VFINFO_LIST, nest(VfListTable)] });

/** A change of one VF, requested from its PF. */
export const encodeVf = (pfIndex: number, info: VfAttributes): Uint8Array[] => [
  ...encodeLink({ index: pfIndex }, {}),
  ...PfTable.encode({ list: { info } }),
];

/** The VFs of a PF in an answer. */
export interface VfList {
  /** number of VFs of the PF; 0 when not reported */
  readonly count: number;
  readonly entries: readonly VfAttributes[];
}

/**
 * The VFs in an answer. An attribute's length has 16 bits: from some 300 VFs on, older kernels send a list whose length
 * has lost its upper bits. Entries that are complete are correct; the rest is dropped.
 */
export function decodeVfs(body: Buffer): VfList {
  let count = 0;
  let list: Buffer | undefined;
  for (const { number, value } of wholeAttributes(body.subarray(HEADER_BYTES))) {
    if (number === IFLA_NUM_VF) {
      count = u32.decode(value);
    } else if (number === IFLA_VFINFO_LIST) {
      list = value;
      break; // nothing after a truncated list can be trusted
    }
  }
  const entries: VfAttributes[] = [];
  for (const { value } of wholeAttributes(list ?? Buffer.alloc(0))) {
    entries.push(VfTable.decode(value));
  }
  return { count, entries };
}

function* wholeAttributes(bytes: Buffer): Generator<{ readonly number: number; readonly value: Buffer }> {
  for (let offset = 0; offset + ATTRIBUTE_HEADER <= bytes.length; ) {
    const length = view(bytes).getUint16(offset, LITTLE);
    if (length < ATTRIBUTE_HEADER || offset + length > bytes.length) {
      return;
    }
    const number = view(bytes).getUint16(offset + 2, LITTLE) & ATTRIBUTE_NUMBER;
    yield { number, value: bytes.subarray(offset + ATTRIBUTE_HEADER, offset + length) };
    offset += (length + 3) & ~3;
  }
}

function wordsOf(bytes: Buffer, count: number): Uint32Array {
  const words = new Uint32Array(count);
  new Uint8Array(words.buffer).set(bytes.subarray(0, count * 4));
  return words;
}

const view = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
