import { describe, expect, it } from 'vitest';
import { type Answer, FakeTransport } from '../fake-transport.ts';
import { Netlink } from '../netlink.ts';
import { decodeAddress, encodeAddress, RTM_NEWADDR } from './address.ts';
import { decodeLink, encodeLink, IFF_UP, LinkTable, MacvlanTable, RTM_GETLINK, RTM_NEWLINK } from './link.ts';
import { decodeNextHops, decodeRoute, encodeRoute, RTM_NEWROUTE } from './route.ts';

/** The bytes that a request puts on the wire, with sequence 1 and in words of four bytes. */
function wire(type: number, flags: number, body: Uint8Array[]): string {
  const transport = new FakeTransport([[] as Answer[]]);
  new Netlink(transport).request({ type, flags, body, operation: 'test' });
  const hex = transport.sent[0]?.toString('hex') ?? '';
  return (hex.match(/.{1,8}/g) ?? []).join(' ');
}

const head = (length: string, type: string, flags: string) => `${length} ${type}${flags} 01000000 00000000`;

describe('the codec of links', () => {
  it('encodes a macvlan that is born in another namespace', () => {
    const data = Buffer.concat(MacvlanTable.encode({ mode: 4, bcQueueLen: 5000 }));
    const body = encodeLink(
      {},
      { link: 2, ifName: 'veth0a1b2c3d', mtu: 1400, netNsFd: 9, linkInfo: { kind: 'macvlan', data } },
    );
    expect(wire(RTM_NEWLINK, 0x600, body)).toBe(
      `${head('70000000', '1000', '0506')} 00000000 00000000 00000000 00000000 ` +
        '08000500 02000000 11000300 76657468 30613162 32633364 00000000 08000400 78050000 08001c00 09000000 ' +
        '24001200 0b000100 6d616376 6c616e00 14000200 08000100 04000000 08000700 88130000',
    );
  });

  it('encodes up and a look-up by name', () => {
    expect(wire(RTM_NEWLINK, 0, encodeLink({ index: 7, flags: IFF_UP, change: IFF_UP }, {}))).toBe(
      `${head('20000000', '1000', '0500')} 00000000 07000000 01000000 01000000`,
    );
    expect(wire(RTM_GETLINK, 0, encodeLink({}, { extMask: 9, ifName: 'ens1' }))).toBe(
      `${head('34000000', '1200', '0500')} 00000000 00000000 00000000 00000000 09000300 656e7331 00000000 08001d00 09000000`,
    );
  });

  it('reads and writes an attribute that is there several times', () => {
    const names = { propList: { altIfNames: ['a', 'bc'] } };
    const bytes = Buffer.concat(LinkTable.encode(names));
    expect(bytes.toString('hex')).toBe('14003480' + '06003500' + '61000000' + '07003500' + '62630000');
    expect(LinkTable.decode(bytes)).toEqual(names);
  });

  it('hands on attributes that it does not know', () => {
    const unknown = new Map([[60, Buffer.from('0102', 'hex')]]);
    const bytes = Buffer.concat(encodeLink({ index: 3 }, { ifName: 'a', unknown }));
    const attributes = bytes.subarray(16);
    expect(decodeLink(bytes).attributes).toEqual({ ifName: 'a' });
    expect(LinkTable.unknownIn(attributes)).toEqual(unknown);
    const again = { ...LinkTable.decode(attributes), unknown: LinkTable.unknownIn(attributes) };
    expect(Buffer.concat(encodeLink({ index: 3 }, again))).toEqual(bytes);
  });

  it('refuses an attribute that is longer than the message', () => {
    expect(() => LinkTable.decode(Buffer.from('0c00030061000000', 'hex'))).toThrow(RangeError);
    expect(() => LinkTable.decode(Buffer.from('0200030061000000', 'hex'))).toThrow(RangeError);
  });
});

describe('the codec of addresses', () => {
  it('encodes an IPv4 address with its broadcast address', () => {
    const local = Buffer.from([192, 0, 2, 5]);
    const body = encodeAddress(
      { family: 2, prefix: 24, index: 7 },
      { address: local, local, broadcast: Buffer.from([192, 0, 2, 255]) },
    );
    expect(wire(RTM_NEWADDR, 0x600, body)).toBe(
      `${head('30000000', '1400', '0506')} 02180000 07000000 08000100 c0000205 08000200 c0000205 08000400 c00002ff`,
    );
    expect(decodeAddress(Buffer.concat(body))).toMatchObject({
      family: 2,
      prefix: 24,
      index: 7,
      attributes: { local },
    });
  });
});

describe('the codec of routes', () => {
  it('encodes table, metric and metrics', () => {
    const body = encodeRoute(
      { family: 2, prefix: 16, table: 0, protocol: 3, scope: 0, type: 1 },
      {
        destination: Buffer.from([10, 9, 0, 0]),
        gateway: Buffer.from([192, 0, 2, 1]),
        priority: 50,
        outputIndex: 7,
        metrics: { mtu: 1300, advmss: 1200 },
        tableId: 300,
      },
    );
    expect(wire(RTM_NEWROUTE, 0x400, body)).toBe(
      `${head('58000000', '1800', '0504')} 02100000 00030001 00000000 08000100 0a090000 08000500 c0000201 ` +
        '08000600 32000000 08000400 07000000 14000800 08000200 14050000 08000800 b0040000 08000f00 2c010000',
    );
    expect(decodeRoute(Buffer.concat(body))).toMatchObject({ prefix: 16, table: 300, attributes: { outputIndex: 7 } });
  });

  it('reads the ways out of a multipath route', () => {
    const hops = Buffer.from('10000000050000000800050001020304080001000600000000', 'hex').subarray(0, 24);
    expect(decodeNextHops(hops).map(({ index }) => index)).toEqual([5, 6]);
  });
});
