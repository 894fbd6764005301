import { describe, expect, it } from 'vitest';
import { Conversation } from '../conversation.ts';
import { type Answer, FakeTransport } from '../testing/fake-transport.ts';
import { encodeLink, RTM_GETLINK, RTM_SETLINK } from './link.ts';
import {
  decodeVfs,
  ETH_P_8021AD,
  ETH_P_8021Q,
  encodeVf,
  LINK_STATES,
  UNSUPPORTED,
  type VfAttributes,
  VfTable,
  WITH_VFS,
} from './vf.ts';

/** What a change of VF 3 of the PF with index 7 puts on the wire, in words of four bytes. */
async function wire(info: VfAttributes): Promise<string> {
  const transport = new FakeTransport([[] as Answer[]]);
  await new Conversation(() => transport).change({ type: RTM_SETLINK, body: encodeVf(7, info), operation: 'test' });
  return (transport.sent[0]?.toString('hex').match(/.{1,8}/g) ?? []).join(' ');
}

const head = (length: string) => `${length} 13000500 01000000 00000000 00000000 07000000 00000000 00000000`;
const zeros = (words: number) => ' 00000000'.repeat(words);

describe('the codec of VFs', () => {
  it.each<[string, VfAttributes, string]>([
    [
      'a hardware address',
      { mac: { vf: 3, mac: Buffer.from('020000000011', 'hex') } },
      `${head('50000000')} 30001600 2c000100 28000100 03000000 02000000 00110000${zeros(6)}`,
    ],
    [
      'a VLAN with its protocol in network byte order',
      { vlanList: { info: { vf: 3, vlan: 100, qos: 3, protocol: ETH_P_8021AD } } },
      `${head('40000000')} 20001600 1c000100 18000c00 14000100 03000000 64000000 03000000 88a80000`,
    ],
    [
      'rates',
      { rate: { vf: 3, min: 100, max: 200 } },
      `${head('38000000')} 18001600 14000100 10000600 03000000 64000000 c8000000`,
    ],
    [
      'spoof checking',
      { spoofCheck: { vf: 3, setting: 1 } },
      `${head('34000000')} 14001600 10000100 0c000400 03000000 01000000`,
    ],
    ['trust', { trust: { vf: 3, setting: 1 } }, `${head('34000000')} 14001600 10000100 0c000900 03000000 01000000`],
    [
      'a link state',
      { linkState: { vf: 3, state: LINK_STATES.enable } },
      `${head('34000000')} 14001600 10000100 0c000500 03000000 01000000`,
    ],
    [
      'a GUID, a number in the order of the host',
      { portGuid: { vf: 3, guid: 0x0011223344556677n } },
      `${head('3c000000')} 1c001600 18000100 14000b00 03000000 00000000 77665544 33221100`,
    ],
    [
      'several attributes in one request',
      { spoofCheck: { vf: 3, setting: 0 }, trust: { vf: 3, setting: 1 } },
      `${head('40000000')} 20001600 1c000100 0c000400 03000000 00000000 0c000900 03000000 01000000`,
    ],
  ])('encodes %s', async (_, info, bytes) => {
    expect(await wire(info)).toBe(bytes);
  });

  it('asks for the VFs of a link, and for no statistics', async () => {
    const transport = new FakeTransport([[{ type: 16, body: Buffer.alloc(16) }]]);
    const body = encodeLink({}, { extMask: WITH_VFS, ifName: 'ens1' });
    await new Conversation(() => transport).ask({ type: RTM_GETLINK, body, operation: 'test' });
    expect((transport.sent[0]?.toString('hex').match(/.{1,8}/g) ?? []).join(' ')).toBe(
      '34000000 12000100 01000000 00000000 00000000 00000000 00000000 00000000 09000300 656e7331 00000000 08001d00 09000000',
    );
  });

  it('reads what it writes', () => {
    const info: VfAttributes = {
      mac: { vf: 3, mac: Buffer.alloc(32, 2) },
      vlan: { vf: 3, vlan: 5, qos: 1 },
      txRate: { vf: 3, max: 10 },
      spoofCheck: { vf: 3, setting: UNSUPPORTED },
      linkState: { vf: 3, state: 2 },
      rate: { vf: 3, min: 1, max: 10 },
      rssQuery: { vf: 3, setting: UNSUPPORTED },
      trust: { vf: 3, setting: 1 },
      nodeGuid: { vf: 3, guid: 1n },
      portGuid: { vf: 3, guid: 2n },
      vlanList: { info: { vf: 3, vlan: 5, qos: 1, protocol: ETH_P_8021Q } },
      broadcast: Buffer.alloc(32, 255),
    };
    expect(VfTable.decode(Buffer.concat(VfTable.encode(info)))).toEqual(info);
    expect(decodeVfs(Buffer.concat(encodeVf(7, info)))).toEqual({ count: 0, entries: [info] });
  });

  it('reads the beginning of a list whose length has lost its upper bits', () => {
    const one = (vf: number) => Buffer.concat(VfTable.encode({ trust: { vf, setting: 1 } }));
    const entry = (bytes: Buffer) => Buffer.concat([Buffer.from('10000100', 'hex'), bytes]);
    const cut = Buffer.concat([entry(one(0)), entry(one(1)), entry(one(2)).subarray(0, 8)]);
    const list = Buffer.from('00001600', 'hex');
    list.writeUInt16LE(4 + cut.length);
    const garbage = Buffer.from('ffffffffffffffff', 'hex');
    const answer = Buffer.concat([Buffer.alloc(16), Buffer.from('0800150003000000', 'hex'), list, cut, garbage]);
    expect(decodeVfs(answer)).toEqual({ count: 3, entries: [0, 1].map((vf) => ({ trust: { vf, setting: 1 } })) });
  });

  it('takes a struct of older kernels, which is shorter', () => {
    expect(VfTable.decode(Buffer.from('0800060003000000', 'hex'))).toEqual({ rate: { vf: 3, min: 0, max: 0 } });
  });
});
