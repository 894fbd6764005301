import { describe, expect, it } from 'vitest';
import type { Request } from '../netlink/conversation.ts';
import type { Netns } from '../netns/netns.ts';
import { Joiner } from '../sys/joiner.ts';
import { overlap, type Task } from './overlap.ts';
import { fakeScope } from './testing/fake-scope.ts';

/** Tells each of a round who was in it. */
const ROUNDS = {
  make: () => ({
    joiner: new Joiner<string, string>(async (names) =>
      names.map(() => ({ status: 'fulfilled' as const, value: names.join('+') })),
    ),
    [Symbol.dispose]: () => {},
  }),
};

/** Notes begin, what it shared and end; `slow` reads something before it waits. */
const task =
  (name: string, notes: string[], { slow = false, fails = false } = {}): Task<string> =>
  async (scope) => {
    notes.push(`${name} begins`);
    if (slow) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    if (fails) {
      throw new Error(name);
    }
    notes.push(`${name} waits`);
    const together = await scope.join(scope.node.shared(ROUNDS).joiner, name);
    notes.push(`${name} ends`);
    return together;
  };

describe('overlap', () => {
  it('lets tasks wait together, begun in order', async () => {
    const notes: string[] = [];
    const outcomes = await overlap(
      fakeScope(),
      ['a', 'b', 'c'].map((name) => task(name, notes)),
    );
    expect(outcomes).toEqual(['a', 'b', 'c'].map(() => ({ status: 'fulfilled', value: 'a+b+c' })));
    expect(notes).toEqual([
      ...['a begins', 'a waits', 'b begins', 'b waits', 'c begins', 'c waits'],
      ...['a ends', 'b ends', 'c ends'],
    ]);
  });

  it('starts none before the one before has come to its first wait', async () => {
    const notes: string[] = [];
    await overlap(fakeScope(), [task('a', notes, { slow: true }), task('b', notes)]);
    expect(notes.indexOf('a waits')).toBeLessThan(notes.indexOf('b begins'));
  });

  it('starts none after a failure, and ends what was begun', async () => {
    const notes: string[] = [];
    const outcomes = await overlap(fakeScope(), [
      task('a', notes),
      task('b', notes, { fails: true }),
      task('c', notes),
    ]);
    expect(outcomes).toMatchObject([{ value: 'a' }, { reason: { message: 'b' } }]);
    expect(notes).toEqual(['a begins', 'a waits', 'b begins', 'a ends']);
  });

  describe('with links', () => {
    const requestFor = (name: string): Request => ({ type: 16, body: [Buffer.from(name)], operation: `make ${name}` });
    const namesIn = (datagram: readonly Request[]): string => datagram.map(({ body }) => String(body[0])).join('+');
    /** A namespace that notes what it is asked for, datagram by datagram. */
    const noting = (notes: string[]): Netns =>
      ({
        identity: '4:1',
        netlink: {
          change: async (request: Request) => void notes.push(namesIn([request])),
          changeAll: async (requests: readonly Request[]) => {
            notes.push(namesIn(requests));
            return requests.map(() => undefined);
          },
        },
        writeSysctls: () => [],
      }) as unknown as Netns;
    const making =
      (name: string, netns: Netns, notes: string[], mayOverlap = true): Task<void> =>
      async (scope) => {
        await scope.makeLink(netns, requestFor(name), mayOverlap);
        notes.push(`${name} made`);
        await scope.setUpLink(netns, { sysctls: [], requests: [requestFor(`${name} up`)] });
      };

    it('has them made with one datagram, and set up with one, in order', async () => {
      const notes: string[] = [];
      const netns = noting(notes);
      await overlap(
        fakeScope(),
        ['a', 'b', 'c'].map((name) => making(name, netns, notes)),
      );
      expect(notes).toEqual(['a+b+c', 'a made', 'b made', 'c made', 'a up+b up+c up']);
    });

    it('has one that may not overlap made after those before it, and done before the next begins', async () => {
      const notes: string[] = [];
      const netns = noting(notes);
      await overlap(fakeScope(), [
        making('a', netns, notes),
        making('b', netns, notes, false),
        making('c', netns, notes),
      ]);
      expect(notes).toEqual(['a+b', 'a made', 'b made', 'a up+b up', 'c', 'c made', 'c up']);
    });

    it('lets one wait for the links of those before it, and for what they try next', async () => {
      const notes: string[] = [];
      const netns = noting(notes);
      const again: Task<void> = async (scope) => {
        await scope.makeLink(netns, requestFor('a'), true);
        await scope.makeLink(netns, requestFor('a again'), true);
      };
      const onTop: Task<void> = async (scope) => {
        await scope.linksMade();
        await scope.makeLink(netns, requestFor('on top'), true);
      };
      await overlap(fakeScope(), [again, making('b', netns, notes), onTop]);
      expect(notes).toEqual(['a+b', 'b made', 'a again', 'b up', 'on top']);
    });

    it('gathers nothing for a task alone', async () => {
      const notes: string[] = [];
      const netns = noting(notes);
      const gather = () => Promise.reject(new Error('gathered'));
      await overlap(fakeScope({ node: { gather } }), [making('a', netns, notes)]);
      expect(notes).toEqual(['a', 'a made', 'a up']);
    });
  });

  it('counts a sleep as a wait', async () => {
    const notes: string[] = [];
    const sleeper: Task<void> = async (scope) => {
      notes.push('begins');
      await scope.sleep(5);
      notes.push('ends');
    };
    await overlap(fakeScope(), [sleeper, sleeper]);
    expect(notes).toEqual(['begins', 'begins', 'ends', 'ends']);
  });
});
