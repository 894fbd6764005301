import { describe, expect, it } from 'vitest';
import { remembering, rememberingTexts } from './remember.ts';

describe('rememberingTexts', () => {
  it('gives the same result for the same text, and makes it once', () => {
    const seen: string[] = [];
    const made = rememberingTexts((text) => {
      seen.push(text);
      return { text };
    });
    expect(made('a')).toBe(made('a'));
    expect(made('b')).toEqual({ text: 'b' });
    expect(seen).toEqual(['a', 'b']);
  });

  it('keeps what is asked for again and again, and forgets the rest', () => {
    let count = 0;
    const made = rememberingTexts(() => ({ number: count++ }));
    const first = made('often');
    const other = made('once');
    for (let index = 0; index < 1000; index++) {
      made(`other ${index}`);
      expect(made('often')).toBe(first);
    }
    expect(made('once')).not.toBe(other);
  });

  it('remembers no endless text, and nothing of what fails', () => {
    let tries = 0;
    const made = rememberingTexts((text) => {
      tries++;
      if (text === '') {
        throw new Error('empty');
      }
      return { length: text.length };
    });
    const long = 'x'.repeat(100_000);
    expect(made(long)).not.toBe(made(long));
    expect(() => made('')).toThrow('empty');
    expect(() => made('')).toThrow('empty');
    expect(tries).toBe(4);
  });
});

describe('remembering', () => {
  it('makes one result for each object', () => {
    const made = remembering((key: { readonly size: number }) => ({ double: 2 * key.size }));
    const key = { size: 2 };
    expect(made(key)).toBe(made(key));
    expect(made(key)).toEqual({ double: 4 });
    expect(made({ size: 2 })).not.toBe(made(key));
  });
});
