import { describe, expect, it } from 'vitest';
import { StoreDamaged } from './faults.ts';
import { formatSequence, readSequence } from './sequence.ts';

const SEQUENCE = { id: 'abcdef01', number: 7 };
const WHOLE = formatSequence(SEQUENCE);
/** What is seen of it while the next one is written. */
const TORN = WHOLE.slice(0, 20) + formatSequence({ ...SEQUENCE, number: 123_456 }).slice(20);

function reading(...texts: readonly (string | undefined)[]) {
  const rest = [...texts];
  return readSequence('/store', () => rest.shift());
}

describe('the sequence', () => {
  it('is read again when somebody was writing it', () => {
    expect(TORN).not.toBe(WHOLE);
    expect(reading(TORN, WHOLE)).toEqual(SEQUENCE);
    expect(reading(TORN, TORN, WHOLE)).toEqual(SEQUENCE);
  });

  it('is damaged when it stays so, and may be missing', () => {
    expect(() => reading(TORN, TORN, TORN)).toThrow(StoreDamaged);
    expect(reading(undefined)).toBeUndefined();
  });
});
