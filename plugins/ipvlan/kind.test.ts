import { describe, expect, it } from 'vitest';
import { createLink, type LinkPlan, linkFault } from '../../lib/link/link.ts';
import { factsOf, findLink } from '../../lib/link/observe.ts';
import { encodeLink, type LinkAttributes, RTM_NEWLINK } from '../../lib/netlink/codec/link.ts';
import { Conversation } from '../../lib/netlink/conversation.ts';
import { FakeTransport } from '../../lib/netlink/testing/fake-transport.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { IPVLAN, type IpvlanAttributes } from './kind.ts';

const plan = (attributes: IpvlanAttributes): LinkPlan<IpvlanAttributes> => ({
  ...{ name: 'net1', parent: { index: 3, name: 'eth0' }, kind: IPVLAN, attributes },
  ...{ mtu: undefined, mac: undefined },
});

/** What the kernel says of a link whose IFLA_INFO_DATA are these. */
function told(data: string, more: LinkAttributes = {}) {
  const linkInfo = { kind: 'ipvlan', data: Buffer.from(data, 'hex') };
  return Buffer.concat(encodeLink({ index: 7 }, { ifName: 'net1', mtu: 1500, linkInfo, ...more }));
}

/** mode and flags, as Linux 6.1 tells them */
const L2 = '0600010000000000' + '0600020000000000';
const L3S = '0600010002000000' + '0600020001000000';

describe('the kind ipvlan', () => {
  it.each([
    ['l2', '06000100' + '00000000'],
    ['l3', '06000100' + '01000000'],
    ['l3s', '06000100' + '02000000'],
  ] as const)('is asked for in mode %s, and its flags are left alone', (mode, bytes) => {
    expect(Buffer.concat(IPVLAN.encode({ mode })).toString('hex')).toBe(bytes);
  });

  it.each([
    ['l2', L2, undefined],
    ['l3s', L3S, undefined],
    ['l3', L2, 'does not have mode "l3"'],
    ['l2', '', 'does not have mode "l2"'],
    ['l2', '0600010009000000', 'does not have mode "l2"'],
  ] as const)('in mode %s is compared with what the kernel tells (%s)', (mode, data, fault) => {
    expect(linkFault(factsOf(told(data)), plan({ mode }))).toBe(fault);
  });

  it('is made with one request, byte for byte', async () => {
    const from = new FakeTransport([[]]);
    const netlink = new Conversation(() => new FakeTransport([[{ type: RTM_NEWLINK, body: told(L3S) }]]));
    const target = { netlink, descriptor: 9 } as Partial<Netns> as Netns;
    const made: string[] = [];
    const link = await createLink(plan({ mode: 'l3s' }), {
      ...{ request: (creation) => new Conversation(() => from).change(creation), target, token: 'token' },
      made: (name) => made.push(name),
      find: (name) => findLink(netlink, name),
    });
    expect([link.kind, made]).toEqual(['ipvlan', ['net1']]);
    const words = (from.sent[0]?.toString('hex') ?? '').match(/.{1,8}/g) ?? [];
    expect(words.join(' ')).toBe(
      '58000000 10000506 01000000 00000000 00000000 00000000 00000000 00000000 ' +
        '08000500 03000000 09000300 6e657431 00000000 08001c00 09000000 ' +
        '1c001200 0a000100 6970766c 616e0000 0c000200 06000100 02000000',
    );
  });
});
