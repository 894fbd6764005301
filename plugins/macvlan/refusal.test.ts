import { describe, expect, it } from 'vitest';
import { withReason } from '../../lib/link/refusal.ts';
import { encodeLink, type LinkAttributes, RTM_NEWLINK } from '../../lib/netlink/codec/link.ts';
import { Conversation } from '../../lib/netlink/conversation.ts';
import { errnoError } from '../../lib/netlink/errno.ts';
import { FakeTransport } from '../../lib/netlink/testing/fake-transport.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { MACVLAN, REFUSALS } from './kind.ts';

const EBUSY = 16;
const PARENT: LinkAttributes = { ifName: 'eth0', address: Buffer.from('020000000001', 'hex'), mtu: 1500 };

const told = (index: number, attributes: LinkAttributes) => ({
  type: RTM_NEWLINK,
  body: Buffer.concat(encodeLink({ index, flags: 1 }, attributes)),
});
const DONE = { type: 3, body: Buffer.alloc(4) };

describe('a parent that gives its frames to something else', () => {
  it.each<[string, LinkAttributes, LinkAttributes]>([
    ['gives its frames to ipvlan "iv0"', {}, { ifName: 'iv0', link: 3, linkInfo: { kind: 'ipvlan' } }],
    ['is enslaved to "failover0"', { master: 9 }, { ifName: 'failover0' }],
    ['gives its frames to something else', {}, { ifName: 'iv0', link: 4, linkInfo: { kind: 'ipvlan' } }],
  ])('%s', async (says, more, other) => {
    const parent = told(3, { ...PARENT, ...more });
    const transport = new FakeTransport([[parent], [parent, told(9, other), DONE]]);
    const asked = {
      from: new Conversation(() => transport),
      target: {} as Netns,
      plan: {
        ...{ name: 'net1', parent: { index: 3, name: 'eth0' }, mtu: undefined, mac: undefined },
        ...{ kind: MACVLAN, attributes: { mode: 'bridge' as const, bcQueueLen: 0 } },
      },
    };
    const refused = () => Promise.reject(errnoError('create macvlan "net1" on "eth0"', EBUSY));
    await expect(withReason(asked, REFUSALS, 'creation', refused)).rejects.toThrow(
      expect.objectContaining({ code: 'EBUSY', message: expect.stringContaining(`: parent "eth0" ${says}`) }),
    );
  });
});
