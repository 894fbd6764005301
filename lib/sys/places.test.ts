import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Places } from './places.ts';

describe('Places', () => {
  it('are for so many at a time, first come first served', async () => {
    const places = new Places(2);
    const order: number[] = [];
    let inside = 0;
    let most = 0;
    await Promise.all(
      [1, 2, 3, 4, 5].map(async (who) => {
        using _ = await places.take();
        order.push(who);
        most = Math.max(most, ++inside);
        await turnOfTheLoop();
        inside--;
      }),
    );
    expect([order, most]).toEqual([[1, 2, 3, 4, 5], 2]);
  });

  it('are not kept for who has left, and given back once', async () => {
    const places = new Places(1);
    const first = await places.take();
    const gone = new AbortController();
    const leaving = places.take(gone.signal);
    const waiting = places.take();
    gone.abort(new Error('gone'));
    await expect(leaving).rejects.toThrow('gone');
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    using _second = await waiting;
    const third = places.take();
    expect(await Promise.race([third.then(() => 'in'), turnOfTheLoop('waits')])).toBe('waits');
    await expect(places.take(gone.signal)).rejects.toThrow('gone');
  });
});
