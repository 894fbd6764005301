import { describe, expect, it } from 'vitest';
import { decodeHeaders, encodeHeaders } from './hpack.ts';
import { huffmanDecoded } from './huffman.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

/** All bytes in order, as Go encodes them. */
const ALL =
  'ffc7fffd8fffffe2fffffe3fffffe4fffffe5fffffe6fffffe7fffffe8ffffeafffffff3fffffa7fffffabffffffdfffffebfffffecfffffedfffffeef' +
  'ffffefffffff0ffffff1ffffff2fffffffbfffffcffffffd3fffffd7fffffdbfffffdffffffe3fffffe7fffffebfffffed4fe3f9ffaffcabf1febfafef' +
  'e7fdfd2cbb00089969b71d79fb9f7fff20ffbff3ff50ddbd7f061c58f265cd9f469d5af66dddbf871e5f9cff7ff7fffc3ff9ffe45fff4719242cb34e6e' +
  '9d68a6a3d7dac426defe3cfaf7fffbfe7ffbffdffffffcfffe6ffff4bfff9ffffa3fffd3ffff53fffd5ffffb3fffeb7fffdaffffb7ffff73fffeeffffd' +
  'effffebffffbfffffd9ffffdbfffebffffe0ffffeeffffc3ffff8bffff1ffffe4fffee7fffb1ffff97fffd9ffffcdffff9fffffbffffdafffeeffff4ff' +
  'ffb7fffee7fffe8ffffd3fffdeffffd5fffeeffffbdffffe1fffdfffff7fffff5ffffecffff07fff87fffe0ffff17fffedffff87ffff77fffeffffeaff' +
  'ff8bfffe3ffff93ffff87fffcbffff37ffff1fffff83ffffe1fffebfffe3ffff3fffff2ffffa3ffffd9fffff17ffffc7fffff27ffffdefffffbffffff2' +
  'fffff8fffffb7fff97fff8fffffe6fffffc1fffff87ffffe7fffffc5ffffe5fffe4ffff2fffffd1fffff4ffffffefffffe3fffffc9fffff97fffb3ffff' +
  'cffffb7fffcdffff4ffff9ffffd1ffffcffffeaffffafffffddffffeffffff4fffff5fffffabffffa7ffffd7fffff9bffffecfffffb7fffff3fffffe8f' +
  'ffffd3fffffabfffff5fffffff7ffffecfffffdbfffffbbfffff7ffffff0fffffbbf';

describe('huffmanDecoded', () => {
  it.each([
    ['f1e3c2e5f23a6ba0ab90f4ff', 'www.example.com'], // RFC 7541, C.4 and C.6
    ['a8eb10649cbf', 'no-cache'],
    ['25a849e95bb8e8b4bf', 'custom-value'],
    ['6402', '302'],
    ['d07abe941054d444a8200595040b8166e082a62d1bff', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['', ''],
  ])('reads %s', (hex, text) => {
    expect(huffmanDecoded(bytes(hex)).toString()).toBe(text);
  });

  it('knows every byte', () => {
    expect([...huffmanDecoded(bytes(ALL))]).toEqual(Array.from({ length: 256 }, (_, byte) => byte));
  });

  it.each([
    ['a text that goes on', 'f1e3c2e5f23a6ba0ab90f4'],
    ['filling that is not ones', '06'],
    ['a whole byte of filling', '6402ff'],
    ['the end of text', 'ffffffff'],
  ])('refuses %s', (_, hex) => {
    expect(() => huffmanDecoded(bytes(hex))).toThrow('a text that is not in its code');
  });
});

describe('decodeHeaders', () => {
  it('reads headers in all forms', () => {
    const block = bytes(
      '20' + // the table has no room
        '88' + // :status: 200, in the static table
        '5f8b1d75d0620d263d4c4d6564' + // name 31, text in its code, to be kept
        '40 0b677270632d737461747573 0131' + // a name and a value as they are, to be kept
        '00 889acac8b21234da8f 0130' + // a name in its code, not to be kept
        '1f1001 78' + // name 31 with an index of two bytes, never to be kept
        '08 03353033', // :status with another value
    );
    expect(decodeHeaders(block)).toEqual({
      ':status': '503',
      'static 31': 'x',
      'grpc-status': '1',
      [huffmanDecoded(bytes('9acac8b21234da8f')).toString()]: '0',
    });
  });

  it.each([
    ['an entry of the dynamic table', 'be', 'header 62, which is in no table'],
    ['a name of the dynamic table', '7e0161', 'header 62, which is in no table'],
    ['index 0', '80', 'header 0, which is in no table'],
    ['room for a table', '3f01', 'a table of headers that is not allowed'],
    ['half of a name', '0005616263', 'headers that end too early'],
    ['no value', '000161', 'headers that end too early'],
    ['a length that goes on', '007f', 'headers that end too early'],
    ['a length that is too large', `007f${'ff'.repeat(100)}01`, 'headers that end too early'],
  ])('refuses %s', (_, hex, why) => {
    expect(() => decodeHeaders(bytes(hex))).toThrow(why);
  });
});

describe('encodeHeaders', () => {
  it('writes texts as they are, of any length', () => {
    expect(encodeHeaders({ te: 'x' }).toString('hex')).toBe('000274650178');
    const headers = { ':path': `/${'a'.repeat(126)}`, long: 'é'.repeat(10_000), none: '' };
    expect(decodeHeaders(encodeHeaders(headers))).toEqual(headers);
  });
});
