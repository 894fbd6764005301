/** As much of protobuf as small messages need: fields by number, in order. https://protobuf.dev/programming-guides/encoding/ */

export interface Field {
  readonly number: number;
  /** of a length-delimited field: text, or a nested message; empty for numbers */
  readonly bytes: Buffer;
}

const VARINT = 0;
const EIGHT_BYTES = 1;
const LENGTH_DELIMITED = 2;
const FOUR_BYTES = 5;
const LARGEST_FIELD = 2 ** 29 - 1;

/** @throws RangeError, SyntaxError when it is not a message */
export function fieldsIn(message: Buffer): readonly Field[] {
  const fields: Field[] = [];
  for (let at = 0; at < message.length; ) {
    const [tag, afterTag] = varint(message, at);
    const number = Math.floor(tag / 8);
    if (number === 0 || number > LARGEST_FIELD) {
      throw new SyntaxError(`there is no field ${number}`);
    }
    const [start, length] = extent(message, afterTag, tag % 8);
    if (start + length > message.length) {
      throw new SyntaxError('a field is longer than its message');
    }
    fields.push({ number, bytes: message.subarray(start, start + length) });
    at = start + length;
  }
  return fields;
}

/** The first string field with that number; '' when there is none. */
export const textOf = (fields: readonly Field[], number: number): string =>
  fields.find((field) => field.number === number)?.bytes.toString('utf8') ?? '';

/** All string fields with that number. */
export const textsOf = (fields: readonly Field[], number: number): readonly string[] =>
  fields.filter((field) => field.number === number).map(({ bytes }) => bytes.toString('utf8'));

/**
 * The fields of all nested messages with that number.
 *
 * @throws RangeError, SyntaxError when one is not a message
 */
export const messagesOf = (fields: readonly Field[], number: number): readonly (readonly Field[])[] =>
  fields.filter((field) => field.number === number).map(({ bytes }) => fieldsIn(bytes));

/** A length-delimited field as it is written: text, or a nested message. */
export function written(number: number, content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([varintBytes(number * 8 + LENGTH_DELIMITED), varintBytes(bytes.length), bytes]);
}

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

function varintBytes(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) {
      return Buffer.from([...bytes, rest]);
    }
    bytes.push((rest % 128) + 128);
  }
}
