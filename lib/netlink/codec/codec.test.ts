import { describe, expect, it } from 'vitest';
import { Conversation } from '../conversation.ts';
import { type Answer, FakeTransport } from '../testing/fake-transport.ts';
import { decodeAddress, encodeAddress, RTM_NEWADDR, reindexedAddress } from './address.ts';
import {
  AfSpecTable,
  decodeLink,
  encodeLink,
  IFF_UP,
  LinkTable,
  RTM_DELLINKPROP,
  RTM_GETLINK,
  RTM_NEWLINK,
  RTM_SETLINK,
} from './link.ts';
import { askedRoute, decodeNextHops, decodeRoute, encodeRoute, RTM_NEWROUTE } from './route.ts';
import { askedRule, decodeRule, encodeRule, RTM_GETRULE, selectsBySourceOnly } from './rule.ts';

/** The bytes that a request puts on the wire, with sequence 1 and in words of four bytes. */
async function wire(type: number, flags: number, body: Uint8Array[]): Promise<string> {
  const transport = new FakeTransport([[] as Answer[]]);
  await new Conversation(() => transport).change({ type, flags, body, operation: 'test' });
  const hex = transport.sent[0]?.toString('hex') ?? '';
  return (hex.match(/.{1,8}/g) ?? []).join(' ');
}

const head = (length: string, type: string, flags: string) => `${length} ${type}${flags} 01000000 00000000`;

describe('the codec of links', () => {
  it('encodes a link of some kind that is born in another namespace', async () => {
    const data = Buffer.from('0800010004000000' + '0800070088130000', 'hex');
    const body = encodeLink(
      {},
      { link: 2, ifName: 'veth0a1b2c3d', mtu: 1400, netNsFd: 9, linkInfo: { kind: 'tunnelx', data } },
    );
    expect(await wire(RTM_NEWLINK, 0x600, body)).toBe(
      `${head('70000000', '1000', '0506')} 00000000 00000000 00000000 00000000 ` +
        '08000500 02000000 11000300 76657468 30613162 32633364 00000000 08000400 78050000 08001c00 09000000 ' +
        '24001200 0b000100 74756e6e 656c7800 14000200 08000100 04000000 08000700 88130000',
    );
  });

  it('encodes up and a look-up by name', async () => {
    expect(await wire(RTM_NEWLINK, 0, encodeLink({ index: 7, flags: IFF_UP, change: IFF_UP }, {}))).toBe(
      `${head('20000000', '1000', '0500')} 00000000 07000000 01000000 01000000`,
    );
    expect(await wire(RTM_GETLINK, 0, encodeLink({}, { extMask: 9, ifName: 'ens1' }))).toBe(
      `${head('34000000', '1200', '0500')} 00000000 00000000 00000000 00000000 09000300 656e7331 00000000 08001d00 09000000`,
    );
  });

  it.each([
    ['a move', { netNsFd: 9 }, '28000000', '08001c00 09000000'],
    [
      'a move under another name',
      { netNsFd: 9, ifName: 'net1' },
      '34000000',
      '09000300 6e657431 00000000 08001c00 09000000',
    ],
    ['an alias', { ifAlias: 'host0' }, '2c000000', '09001400 686f7374 30000000'],
    ['no alias', { ifAlias: '' }, '24000000', '04001400'],
  ] as const)('encodes %s', async (_, attributes, length, bytes) => {
    expect(await wire(RTM_SETLINK, 0, encodeLink({ index: 7 }, attributes))).toBe(
      `${head(length, '1300', '0500')} 00000000 07000000 00000000 00000000 ${bytes}`,
    );
  });

  it('encodes the end of an alternative name, and down', async () => {
    const body = encodeLink({ index: 7 }, { propList: { altIfNames: ['ens1'] } });
    expect(await wire(RTM_DELLINKPROP, 0, body)).toBe(
      `${head('30000000', '6d00', '0500')} 00000000 07000000 00000000 00000000 10003480 09003500 656e7331 00000000`,
    );
    expect(await wire(RTM_NEWLINK, 0, encodeLink({ index: 7, flags: 0, change: IFF_UP }, {}))).toBe(
      `${head('20000000', '1000', '0500')} 00000000 07000000 00000000 01000000`,
    );
  });

  it('reads what a device is known by', () => {
    const attributes = {
      ifName: 'ens1f0v3',
      ifAlias: 'uplink',
      txQueueLength: 1000,
      group: 7,
      permAddress: Buffer.from([2, 0, 0, 0, 0, 1]),
      parentDevName: '0000:65:02.3',
      parentDevBusName: 'pci',
      // of IPv4 and of IPv6 the attribute of settings
      afSpec: Buffer.from('0c000200 08000100 01000000 0c000a00 08000200 02000000'.replaceAll(' ', ''), 'hex'),
    };
    const bytes = Buffer.concat(encodeLink({ index: 3, flags: 0x1003 }, attributes));
    expect(decodeLink(bytes)).toEqual({ type: 0, index: 3, flags: 0x1003, attributes });
    expect(AfSpecTable.decode(attributes.afSpec)).toEqual({
      inet: { conf: Buffer.from([1, 0, 0, 0]) },
      inet6: { conf: Buffer.from([2, 0, 0, 0]) },
    });
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
  it('encodes an IPv4 address with its broadcast address', async () => {
    const local = Buffer.from([192, 0, 2, 5]);
    const body = encodeAddress(
      { family: 2, prefix: 24, index: 7 },
      { address: local, local, broadcast: Buffer.from([192, 0, 2, 255]) },
    );
    expect(await wire(RTM_NEWADDR, 0x600, body)).toBe(
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
  it('encodes table, metric and metrics', async () => {
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
    expect(await wire(RTM_NEWROUTE, 0x400, body)).toBe(
      `${head('58000000', '1800', '0504')} 02100000 00030001 00000000 08000100 0a090000 08000500 c0000201 ` +
        '08000600 32000000 08000400 07000000 14000800 08000200 14050000 08000800 b0040000 08000f00 2c010000',
    );
    expect(decodeRoute(Buffer.concat(body))).toMatchObject({ prefix: 16, table: 300, attributes: { outputIndex: 7 } });
  });

  it('encodes flags and type of service, and reads them and the preference', () => {
    const none = { table: 0, protocol: 0, scope: 0, type: 0 };
    const body = Buffer.concat(
      encodeRoute({ family: 10, prefix: 128, tos: 0x10, ...none, flags: 0x2000 }, { preference: 3 }),
    );
    expect(body.toString('hex')).toBe('0a800010000000000020000005001400' + '03000000');
    expect(decodeRoute(body)).toMatchObject({ tos: 0x10, flags: 0x2000, attributes: { preference: 3 } });
  });

  it('reads the ways out of a multipath route', () => {
    const hops = Buffer.from('10000000050000000800050001020304080001000600000000', 'hex').subarray(0, 24);
    expect(decodeNextHops(hops).map(({ index }) => index)).toEqual([5, 6]);
  });

  // as the kernel lists it: flags LINKDOWN and OFFLOAD, then table, destination, gateway, link, nexthop, timers
  const listed = (flags: string, attributes: string): Buffer =>
    Buffer.from(`02100000 64030001 ${flags} ${attributes}`.replaceAll(' ', ''), 'hex');

  it('asks again for a route that it was told: without its state, through the link of now', () => {
    const destination = '08000100 0a090000';
    const told = `${destination} 08000500 c0000201 08000400 07000000 08001e00 05000000 24000c00 ${'00'.repeat(32)}`;
    expect(askedRoute(listed('10400000', told), 7, 9)).toEqual(
      listed('00000000', `${destination} 08000500 c0000201 08000400 09000000`),
    );
    expect(askedRoute(listed('00000000', `${destination} 08000400 08000000`), 7, 9)).toEqual(
      listed('00000000', `${destination} 08000400 08000000`),
    );
  });

  it('asks again for a route of several ways out: those through the link have its index of now', () => {
    const hops = (flags: string, index: string) =>
      `24000900 1000${flags}01 ${index}000000 08000500 c0000201 1000${flags}02 08000000 08000500 c0000202`;
    expect(askedRoute(listed('00000000', hops('14', '07')), 7, 9)).toEqual(listed('00000000', hops('04', '09')));
  });

  it('keeps what it does not know of a route', () => {
    const unknown = '08006300 01020304';
    expect(askedRoute(listed('04000000', unknown), 7, 9)).toEqual(listed('04000000', unknown));
  });
});

describe('the codec of rules', () => {
  // from 192.0.2.5 lookup 300 pref 1000
  const bytes = (flags: string): Buffer =>
    Buffer.from(
      `02002000 fc000001 ${flags} 08000f00 2c010000 08000600 e8030000 08000200 c0000205`.replaceAll(' ', ''),
      'hex',
    );

  it('reads addresses, table and priority', () => {
    expect(decodeRule(bytes('00000000'))).toEqual({
      family: 2,
      destinationPrefix: 0,
      sourcePrefix: 32,
      action: 1,
      table: 300,
      attributes: { source: Buffer.from([192, 0, 2, 5]), priority: 1000, tableId: 300 },
    });
  });

  it('asks for all rules of a family', async () => {
    const body = encodeRule({ family: 10, destinationPrefix: 0, sourcePrefix: 0, action: 0 }, {});
    expect(await wire(RTM_GETRULE, 0x300, body)).toBe(`${head('1c000000', '2200', '0503')} 0a000000 00000000 00000000`);
  });

  it.each([
    ['a source', '', true],
    ['a source, said as the kernel does', '08000e00 ffffffff 05001500 62000000', true],
    ['a mark', '08000a00 01000000', false],
    ['an interface', '0b000300 6e657431 00000000', false],
    ['protocol and port', '05001600 06000000', false],
    ['a source, but for narrow routes', '08000e00 00000000', false],
  ])('tells whether a rule is about %s', (_, more, isOnly) => {
    const body = Buffer.concat([bytes('00000000'), Buffer.from(more.replaceAll(' ', ''), 'hex')]);
    expect(selectsBySourceOnly(body)).toBe(isOnly);
    expect(selectsBySourceOnly(Buffer.concat([bytes('02000000'), body.subarray(36)]))).toBe(false); // inverted
  });

  it('asks again for a rule that it was told: inverted if it was, but not detached', () => {
    expect(askedRule(bytes('1e000000'))).toEqual(bytes('02000000'));
  });
});

describe('the codec of addresses that were told', () => {
  it('gives one to a link of another index, with all that it has', () => {
    const told = Buffer.from(`0218800007000000080001000a010203180003006e657431${'00'.repeat(16)}`, 'hex');
    const asked = reindexedAddress(told, 9);
    expect(asked.subarray(8)).toEqual(told.subarray(8));
    expect(decodeAddress(asked)).toMatchObject({ index: 9, prefix: 24, flags: 0x80 });
  });
});
