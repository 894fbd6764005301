import { describe, expect, it } from 'vitest';
import { table, u16 } from '../netlink/attributes.ts';
import { encodeLink, type LinkAttributes, RTM_NEWLINK } from '../netlink/codec/link.ts';
import { Conversation, type Request } from '../netlink/conversation.ts';
import { FakeTransport } from '../netlink/testing/fake-transport.ts';
import type { Netns } from '../netns/netns.ts';
import { mac } from '../testing/mac.ts';
import { type Kind, modeOf } from './kind.ts';
import { createLink, type LinkPlan } from './link.ts';
import { findLink } from './observe.ts';

const MAC = '02:aa:00:00:00:07';

/** A kind of links that no kernel has. */
const MODES = { round: 1, square: 2 } as const;
const TubeTable = table({ shape: [3, u16] });
const TUBE: Kind<{ readonly shape: keyof typeof MODES }> = {
  name: 'tube',
  encode: ({ shape }) => TubeTable.encode({ shape: MODES[shape] }),
  decode: (data) => ({ shape: modeOf(MODES, TubeTable.decode(data).shape) }),
  sharesMac: false,
};
const PLAN: LinkPlan<{ readonly shape: keyof typeof MODES }> = {
  ...{ name: 'net1', parent: { index: 3, name: 'eth0' }, kind: TUBE, attributes: { shape: 'round' } },
  ...{ mtu: 1400, mac: mac(MAC) },
};

function told(shape: number, attributes: LinkAttributes, flags = 0) {
  const data = Buffer.concat(TubeTable.encode({ shape }));
  const all = { ifName: 'net1', mtu: 1400, address: Buffer.from('02aa00000007', 'hex'), ...attributes };
  const body = encodeLink({ index: 7, flags }, { linkInfo: { kind: 'tube', data }, ...all });
  return [{ type: RTM_NEWLINK, body: Buffer.concat(body) }];
}

describe('createLink', () => {
  const make = (plan: typeof PLAN, from: FakeTransport, answers: ConstructorParameters<typeof FakeTransport>[0]) => {
    const netlink = new Conversation(() => new FakeTransport(answers));
    const target = { netlink, descriptor: 9 } as Partial<Netns> as Netns;
    const made: string[] = [];
    const home = new Conversation(() => from);
    const creation = { request: (one: Request) => home.change(one), target, token: 'token' };
    const find = (name: string) => findLink(netlink, name);
    return { made, link: createLink(plan, { ...creation, made: (name) => made.push(name), find }) };
  };

  it.each<[string, LinkAttributes, number]>([
    [
      'has hardware address 02:00:00:00:00:99, not 02:aa:00:00:00:07',
      { address: Buffer.from('020000000099', 'hex') },
      1,
    ],
    ['has MTU 1500, not 1400', { mtu: 1500 }, 1],
    ['does not have shape "round"', {}, 2],
    ['does not have shape "round"', {}, 77],
    ['is a bridge, not a tube', { linkInfo: { kind: 'bridge' } }, 1],
  ])('takes no link that %s', async (fault, attributes, shape) => {
    const { made, link } = make(PLAN, new FakeTransport([[]]), [told(shape, attributes)]);
    await expect(link).rejects.toThrow(`cannot create tube "net1": the one that the kernel made ${fault}`);
    expect(made).toEqual(['net1']); // it is there to be undone
  });

  it('asks for a link of the kind, with what it is configured with', async () => {
    const from = new FakeTransport([[]]);
    const plan = { ...PLAN, mtu: undefined, mac: undefined };
    const { link } = make(plan, from, [told(1, {})]);
    expect(await link).toMatchObject({ index: 7, kind: 'tube' });
    const info = '18001200' + '08000100' + '74756265' + '0c000200' + '06000300' + '01000000';
    expect(from.sent[0]?.toString('hex')).toContain(info);
  });

  it.each([
    ['is its own when nobody has set it up', 3, 0, ['net1']],
    ['is not when it is up', 3, 1, []],
    ['is not when it is on another parent', 4, 0, []],
  ] as const)(
    'of a kind that shares its hardware address, after an answer that is lost, %s',
    async (_, at, flags, own) => {
      const shared = { ...PLAN, kind: { ...TUBE, sharesMac: true }, mac: undefined };
      const answer = told(1, { link: at }, flags);
      const { made, link } = make(shared, new FakeTransport([]), [answer, answer]);
      await link.catch((error: unknown) => expect(String(error)).toContain('no answer from the kernel'));
      expect(made).toEqual(own);
    },
  );
});
