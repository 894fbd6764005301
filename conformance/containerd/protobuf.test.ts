import { describe, expect, it } from 'vitest';
import { boolean, decode, encode, integer, list, type Message, map, message, pairsOf, text } from './protobuf.ts';

const inner: Message = { name: text(1), count: integer(2) };
const table: Message = { id: text(1), isOn: boolean(2), one: message(3, inner), many: list(16, inner), labels: map(5) };

describe('protobuf', () => {
  it('writes tags, lengths and varints', () => {
    const fields = {
      id: 'a',
      isOn: true,
      one: { name: 'b', count: 300 },
      many: [{ name: 'c' }],
      labels: pairsOf({ k: 'v' }),
    };
    expect(encode(table, fields).toString('hex')).toBe(
      '0a0161100' + '11a060a016210ac02820103' + '0a01632a060a016b120176',
    );
  });

  it('reads what it has written, with defaults for what is absent', () => {
    const fields = { id: 'ä', one: { name: 'b', count: 2 ** 40 }, many: [{ name: 'c' }, { count: 1 }] };
    expect(decode(table, encode(table, fields))).toEqual({
      id: 'ä',
      isOn: false,
      one: { name: 'b', count: 2 ** 40 },
      many: [
        { name: 'c', count: 0 },
        { name: '', count: 1 },
      ],
      labels: [],
    });
  });

  it('passes over fields that it does not know, of every kind', () => {
    const unknown = Buffer.from('3801410102030405060708'.concat('4d01020304', '520161'), 'hex');
    expect(decode({ id: text(1) }, Buffer.concat([unknown, encode({ id: text(1) }, { id: 'x' })]))).toEqual({
      id: 'x',
    });
  });
});
