import { describe, expect, it } from 'vitest';
import type { Request } from '../netlink/conversation.ts';
import { Conversation } from '../netlink/conversation.ts';
import { FakeTransport } from '../netlink/testing/fake-transport.ts';
import type { Netns, Sysctl } from '../netns/netns.ts';
import { makeLinks, setUpLinks } from './batches.ts';

const ERROR = 2;

const refusal = (code: number, sequence: number) => {
  const body = Buffer.alloc(20);
  body.writeInt32LE(-code);
  return { type: ERROR, body, sequence };
};

const requests = (...names: readonly string[]): readonly Request[] =>
  names.map((name) => ({ type: 16, body: [Buffer.from(name)], operation: `do ${name}` }));

const said = (outcomes: readonly PromiseSettledResult<void>[]): readonly string[] =>
  outcomes.map((one) => (one.status === 'fulfilled' ? 'done' : (one.reason as Error).message.replace(/ \(.*/, '')));

describe('makeLinks', () => {
  it('makes all with one datagram, and tells which the kernel refuses', async () => {
    const transport = new FakeTransport([[refusal(17, 2), refusal(0, 3)]]);
    const outcomes = await makeLinks(new Conversation(() => transport), requests('a', 'b', 'c'));
    expect(said(outcomes)).toEqual(['done', 'cannot do b: EEXIST', 'done']);
    expect(transport.sent).toHaveLength(1);
  });
});

describe('setUpLinks', () => {
  it('writes all sysctls in one visit, then asks for all with one datagram: each has the first refusal of its own', async () => {
    const visits: (readonly Sysctl[])[] = [];
    const transport = new FakeTransport([[refusal(19, 2), refusal(17, 3), refusal(0, 5)]]);
    const netns = {
      netlink: new Conversation(() => transport),
      writeSysctls: (sysctls) => {
        visits.push(sysctls);
        return [new Error('there is no such sysctl')];
      },
    } as Partial<Netns> as Netns;
    const outcomes = await setUpLinks(netns, [
      { sysctls: [['a', '1']], requests: requests('a') },
      { sysctls: [['b', '1']], requests: requests('b', 'c') },
      { sysctls: [], requests: requests('d', 'e') },
    ]);
    expect(said(outcomes)).toEqual(['done', 'cannot do b: ENODEV', 'done']);
    expect(visits).toEqual([
      [
        ['a', '1'],
        ['b', '1'],
      ],
    ]);
    expect(transport.sent).toHaveLength(1);
  });
});
