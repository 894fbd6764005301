/** As much of protobuf as the CRI's responses need: fields by number, in order. */

export interface Field {
  readonly number: number;
  /** of a length-delimited field: text, or a nested message; empty for numbers */
  readonly bytes: Buffer;
}

const VARINT = 0;
const EIGHT_BYTES = 1;
const LENGTH_DELIMITED = 2;
const FOUR_BYTES = 5;

/** @throws RangeError, SyntaxError when it is not a message */
export function fieldsIn(message: Buffer): readonly Field[] {
  const fields: Field[] = [];
  for (let at = 0; at < message.length; ) {
    const [tag, afterTag] = varint(message, at);
    const [start, length] = extent(message, afterTag, tag & 7);
    if (start + length > message.length) {
      throw new SyntaxError('a field is longer than its message');
    }
    fields.push({ number: tag >>> 3, bytes: message.subarray(start, start + length) });
    at = start + length;
  }
  return fields;
}

/** The first string field with that number; '' when there is none. */
export const textOf = (fields: readonly Field[], number: number): string =>
  fields.find((field) => field.number === number)?.bytes.toString('utf8') ?? '';

/** Position and length of the content; 0 for numbers, which are skipped. */
function extent(message: Buffer, at: number, wireType: number): readonly [start: number, length: number] {
  switch (wireType) {
    case VARINT:
      return [varint(message, at)[1], 0];
    case LENGTH_DELIMITED: {
      const [length, start] = varint(message, at);
      return [start, length];
    }
    case EIGHT_BYTES:
      return [at + 8, 0];
    case FOUR_BYTES:
      return [at + 4, 0];
    default:
      throw new SyntaxError(`unknown wire type ${wireType}`);
  }
}

/** Lengths and tags fit into a number; larger values, such as times, are skipped. */
function varint(message: Buffer, at: number): readonly [value: number, next: number] {
  let value = 0;
  let place = at;
  for (let factor = 1; ; factor *= 128) {
    const byte = message.readUInt8(place++);
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) {
      return [value, place];
    }
  }
}
