import { describe, expect, it } from 'vitest';
import { fieldsIn, messagesOf, textOf, textsOf, written } from './protobuf.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

describe('fieldsIn', () => {
  it('finds texts among fields of any type', () => {
    const fields = fieldsIn(bytes('08ac02 120568656c6c6f 190102030405060708 2501020304 1a00'));
    expect(fields.map(({ number }) => number)).toEqual([1, 2, 3, 4, 3]);
    expect([textOf(fields, 2), textOf(fields, 9)]).toEqual(['hello', '']);
  });

  it('passes over numbers that no double holds, and finds fields with large numbers', () => {
    const fields = fieldsIn(bytes('08ffffffffffffffffff01 faffffff0f0161'));
    expect(fields.map(({ number }) => number)).toEqual([1, 2 ** 29 - 1]);
    expect(textOf(fields, 2 ** 29 - 1)).toBe('a');
  });

  it('finds all texts and messages with a number', () => {
    const fields = fieldsIn(bytes('0a0161 1203 0a0178 0a0162 1200'));
    expect(textsOf(fields, 1)).toEqual(['a', 'b']);
    expect(messagesOf(fields, 2).map((message) => textOf(message, 1))).toEqual(['x', '']);
  });

  it.each([
    ['1205', 'longer than its message'],
    ['13', 'wire type 3'],
    ['02 00', 'there is no field 0'],
    ['faffffff1f00', 'there is no field 1073741823'],
    ['1901020304', 'longer than its message'],
  ])('refuses %s', (hex, why) => {
    expect(() => fieldsIn(bytes(hex))).toThrow(why);
  });

  it.each(['12', '12ff', `0a${'ff'.repeat(1000)}`])('refuses %s, which ends too early', (hex) => {
    expect(() => fieldsIn(bytes(hex))).toThrow(RangeError);
  });
});

describe('written', () => {
  it('has lengths and numbers of any size', () => {
    expect(written(1, 'é').toString('hex')).toBe('0a02c3a9');
    expect(written(16, '').toString('hex')).toBe('820100');
    expect(written(1, 'a'.repeat(300)).subarray(0, 4).toString('hex')).toBe('0aac0261');
    expect(textsOf(fieldsIn(Buffer.concat([written(2000, 'x'), written(2000, Buffer.from('y'))])), 2000)).toEqual([
      'x',
      'y',
    ]);
  });
});
