import { describe, expect, it } from 'vitest';
import { encodeLink, type LinkAttributes, MacvlanTable, RTM_NEWLINK } from '../netlink/codec/link.ts';
import { Conversation } from '../netlink/conversation.ts';
import { FakeTransport } from '../netlink/testing/fake-transport.ts';
import type { Netns } from '../netns/netns.ts';
import { mac } from '../testing/mac.ts';
import { createLink, type LinkPlan, MACVLAN_MODES, type MacvlanMode } from './link.ts';

const MAC = '02:aa:00:00:00:07';

function told(mode: MacvlanMode, attributes: LinkAttributes) {
  const data = Buffer.concat(MacvlanTable.encode({ mode: MACVLAN_MODES[mode] }));
  const all = { ifName: 'net1', mtu: 1400, address: Buffer.from('02aa00000007', 'hex'), ...attributes };
  return [
    {
      type: RTM_NEWLINK,
      body: Buffer.concat(encodeLink({ index: 7 }, { ...all, linkInfo: { kind: 'macvlan', data } })),
    },
  ];
}

describe('createLink', () => {
  it.each<[string, LinkAttributes, MacvlanMode]>([
    [
      'has hardware address 02:00:00:00:00:99, not 02:aa:00:00:00:07',
      { address: Buffer.from('020000000099', 'hex') },
      'vepa',
    ],
    ['has MTU 1500, not 1400', { mtu: 1500 }, 'vepa'],
    ['does not have mode "vepa"', {}, 'bridge'],
  ])('takes no link that %s', async (fault, attributes, mode) => {
    const from = new Conversation(() => new FakeTransport([[]]));
    const netlink = new Conversation(() => new FakeTransport([told(mode, attributes)]));
    const plan: LinkPlan = {
      ...{ name: 'net1', parent: { index: 3, name: 'eth0' }, mode: 'vepa' },
      ...{ mtu: 1400, mac: mac(MAC), broadcastQueueLength: undefined },
    };
    const made: string[] = [];
    const target = { netlink, descriptor: 9 } as Partial<Netns> as Netns;
    await expect(createLink(from, target, plan, 'token', (name) => made.push(name))).rejects.toThrow(
      `cannot create macvlan "net1": the one that the kernel made ${fault}`,
    );
    expect(made).toEqual(['net1']); // it is there to be undone
  });
});
