import { describe, expect, it } from 'vitest';
import { crc32c, crc32cOfText } from './crc32c.ts';

describe('crc32c', () => {
  it.each([
    ['nothing', Buffer.alloc(0), 0],
    ['the check string of the catalogue', Buffer.from('123456789'), 0xe3069283],
    ['32 zeros (RFC 3720, B.4)', Buffer.alloc(32), 0x8a9136aa],
    ['32 bytes of ones (RFC 3720, B.4)', Buffer.alloc(32, 0xff), 0x62a8ab43],
    ['32 rising bytes (RFC 3720, B.4)', Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
  ])('is right for %s', (_, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });

  it.each(['', '123456789', 'a\0b', 'ä', 'abc€', '\u{1f600}'])('of the text %j is that of its bytes', (text) => {
    expect(crc32cOfText(text)).toBe(crc32c(Buffer.from(text)));
  });
});
