import { describe, expect, it } from 'vitest';
import { decodePort, encodePort, type PortVlan } from '../netlink/codec/bridge.ts';
import { RTM_DELLINK, RTM_NEWLINK, RTM_SETLINK } from '../netlink/codec/link.ts';
import { Conversation } from '../netlink/conversation.ts';
import { FakeTransport } from '../netlink/testing/fake-transport.ts';
import { restorePort, savePort } from './bridge-port.ts';

const HAIRPIN = Buffer.from('0500040001000000', 'hex');
const vlan = (id: number, isPvid = false, isUntagged = isPvid): PortVlan => ({ id, isPvid, isUntagged });
const port = (index: number, vlans: readonly PortVlan[], settings = HAIRPIN): Buffer =>
  Buffer.concat(encodePort(index, { settings, vlans }));
const DONE = { type: 3, body: Buffer.alloc(4) };

/** The kernel's list of ports. */
const listing = (...ports: readonly Buffer[]) => [...ports.map((body) => ({ type: RTM_NEWLINK, body })), DONE];

describe('a bridge port', () => {
  it('has its VLANs again, and loses that which every new port has', async () => {
    const was = port(7, [vlan(100, true), vlan(200), vlan(300)]);
    const transport = new FakeTransport([listing(port(7, [vlan(1, true), vlan(200), vlan(300, false, true)])), [], []]);
    await restorePort(new Conversation(() => transport), { index: 7, name: 'eth7' }, was);
    const [, removed = Buffer.alloc(0), added = Buffer.alloc(0)] = transport.sent;
    expect([removed.readUInt16LE(4), decodePort(removed.subarray(16)).vlans]).toEqual([
      RTM_DELLINK,
      [vlan(1, true), vlan(300, false, true)],
    ]);
    expect([added.readUInt16LE(4), decodePort(added.subarray(16)).vlans]).toEqual([
      RTM_SETLINK,
      [vlan(100, true), vlan(300)],
    ]);
  });

  it('is asked for nothing that it has', async () => {
    const was = port(7, [vlan(1, true)]);
    const transport = new FakeTransport([listing(was)]);
    await restorePort(new Conversation(() => transport), { index: 7, name: 'eth7' }, was);
    expect(transport.sent).toHaveLength(1);
  });

  it('is found among others, and not in what a NIC tells of its own switch', async () => {
    const transport = new FakeTransport([
      listing(port(6, []), port(7, [], Buffer.alloc(0)), port(7, [vlan(5)]), port(8, [])),
      listing(port(6, [])),
    ]);
    const netlink = new Conversation(() => transport);
    expect(decodePort((await savePort(netlink, 7)) ?? Buffer.alloc(16)).vlans).toEqual([vlan(5)]);
    expect(await savePort(netlink, 7)).toBeUndefined();
  });
});
