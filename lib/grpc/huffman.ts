/** The Huffman code of HTTP/2 headers: RFC 7541, appendix B. */
import { NotHttp2 } from './frames.ts';

/**
 * How many bits each byte has, and last the end of text, in base 36. Codes of one length follow each other in the order of
 * the bytes, and those of the next length follow them: the lengths are all there is to know.
 */
const LENGTHS =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6cad67777777777777777777777878djde6f56565666577666567655677777' +
  'fbedskmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmnqqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqr' +
  'rrrrsrrrrrqu';
const END = 256;
const LONGEST_CODE = 30;

interface Code {
  /** of a length: its first code, and the bytes of all in order */
  readonly first: readonly number[];
  readonly bytes: readonly (readonly number[])[];
}

let code: Code | undefined;

function makeCode(): Code {
  const lengths = [...LENGTHS].map((digit) => Number.parseInt(digit, 36));
  const bytes = Array.from({ length: LONGEST_CODE + 1 }, (_, length) =>
    lengths.flatMap((one, byte) => (one === length ? [byte] : [])),
  );
  const first = [0];
  for (let length = 1; length <= LONGEST_CODE; length++) {
    first.push(((first[length - 1] ?? 0) + (bytes[length - 1] ?? []).length) * 2);
  }
  return { first, bytes };
}

/** @throws NotHttp2 */
export function huffmanDecoded(coded: Buffer): Buffer {
  code ??= makeCode();
  const decoded: number[] = [];
  let value = 0;
  let length = 0;
  for (let at = 0; at < coded.length * 8; at++) {
    value = value * 2 + (((coded[at >> 3] ?? 0) >> (7 - (at & 7))) & 1);
    length++;
    const byte = code.bytes[length]?.[value - (code.first[length] ?? 0)];
    if (byte === END || (byte === undefined && length >= LONGEST_CODE)) {
      throw new NotHttp2('a text that is not in its code');
    }
    if (byte !== undefined) {
      decoded.push(byte);
      [value, length] = [0, 0];
    }
  }
  if (length > 7 || value !== 2 ** length - 1) {
    throw new NotHttp2('a text that is not in its code'); // it is filled up to whole bytes with ones
  }
  return Buffer.from(decoded);
}
