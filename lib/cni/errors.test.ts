import { describe, expect, it } from 'vitest';
import { bounded, CniError, quoted } from './errors.ts';
import { errorText } from './run.ts';

const ENDLESS = 'x'.repeat(200_000);

describe('bounded', () => {
  it('leaves a message as it is', () => {
    expect(bounded('cannot do it: EIO')).toBe('cannot do it: EIO');
  });

  it('keeps the beginning and the end of an endless one, and says how long it was', () => {
    const text = bounded(`cannot use "${ENDLESS}": it is too long`);
    expect(text.length).toBeLessThan(5000);
    expect(text).toMatch(/^cannot use "x+… \(200029 characters\) …x+": it is too long$/);
  });

  it('cuts no character in two', () => {
    expect(bounded('\u{1f600}'.repeat(100_000), 7).isWellFormed()).toBe(true);
  });
});

describe('errorText', () => {
  it('is bounded, in message and details', () => {
    const text = errorText(new CniError('badEnv', `cannot use "${ENDLESS}"`, { details: ENDLESS }));
    expect(text.length).toBeLessThan(10_000);
    expect(JSON.parse(text)).toMatchObject({ code: 4 });
  });
});

describe('quoted', () => {
  it.each([
    [{ a: 1 }, '{"a":1}'],
    ['"', '"\\""'],
    [undefined, 'nothing'],
    [Number.POSITIVE_INFINITY, 'a number out of range'],
  ])('shows %j as %s', (value, shown) => {
    expect(quoted(value)).toBe(shown);
  });

  it('shows the beginning and the end of a long value', () => {
    expect(quoted(ENDLESS).length).toBeLessThan(500);
  });
});
