import { describe, expect, it } from 'vitest';
import { Glances } from './glance.ts';

describe('Glances', () => {
  it('look once in a turn of the event loop, at each thing', async () => {
    const glances = new Glances();
    let looks = 0;
    const look = (key: string) => glances.at(key, () => `${key} ${++looks}`);
    const all = await Promise.all(['a', 'b', 'a'].map(async (key) => look(key)));
    expect(all).toEqual(['a 1', 'b 2', 'a 1']);
    await new Promise(setImmediate);
    expect([look('a'), look('a')]).toEqual(['a 3', 'a 3']);
  });

  it('remember that there was nothing, and no failure', () => {
    const glances = new Glances();
    expect(glances.at('nothing', () => undefined)).toBeUndefined();
    expect(glances.at('nothing', () => 'something')).toBeUndefined();
    const fails = (): string => {
      throw new Error('cannot look');
    };
    expect(() => glances.at('a', fails)).toThrow('cannot look');
    expect(glances.at('a', () => 'seen')).toBe('seen');
  });
});
