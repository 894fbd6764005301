/** Castagnoli's polynomial, bits reversed (RFC 3720, appendix B.4). */
const POLYNOMIAL = 0x82f63b78;

const LAST_OF_ASCII = 0x7f;

/** A byte at a time: wider steps win only after the function is compiled, and a plugin's process ends before that. */
const TABLE = tableOf(POLYNOMIAL);

/** CRC-32C of the bytes, as in iSCSI, ext4 and btrfs. */
export function crc32c(bytes: Uint8Array): number {
  // In uncompiled code, reading a typed array's length in every round costs more than all the rest.
  const { length } = bytes;
  let crc = -1;
  for (let i = 0; i < length; i++) {
    crc = (TABLE[(crc ^ (bytes[i] as number)) & 255] as number) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

/** CRC-32C of the text in UTF-8. */
export function crc32cOfText(text: string): number {
  const { length } = text;
  let crc = -1;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > LAST_OF_ASCII) {
      return crc32c(Buffer.from(text)); // rare, and the other way makes no garbage
    }
    crc = (TABLE[(crc ^ unit) & 255] as number) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

/** CRC is linear: the powers of two give all other entries, in 255 steps rather than 2,048. */
function tableOf(polynomial: number): Int32Array {
  const table = new Int32Array(256);
  let crc = 1;
  for (let power = 128; power > 0; power >>= 1) {
    crc = (crc >>> 1) ^ (crc & 1 ? polynomial : 0);
    for (let index = 0; index < 256; index += 2 * power) {
      table[index + power] = crc ^ (table[index] as number);
    }
  }
  return table;
}
