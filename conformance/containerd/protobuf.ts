/** The part of protobuf that the CRI needs. A message is a table of its fields; what is not in it is passed over. */

export interface Field {
  readonly number: number;
  readonly type: 'string' | 'number' | 'boolean' | Message;
  readonly isList?: boolean;
}

export interface Message {
  readonly [name: string]: Field;
}

export type Value = string | number | boolean | Fields | readonly Value[];

export interface Fields {
  readonly [name: string]: Value | undefined;
}

const VARINT = 0;
const EIGHT_BYTES = 1;
const LENGTH_DELIMITED = 2;
const FOUR_BYTES = 5;

export const text = (number: number): Field => ({ number, type: 'string' });
export const integer = (number: number): Field => ({ number, type: 'number' });
export const boolean = (number: number): Field => ({ number, type: 'boolean' });
export const message = (number: number, type: Message): Field => ({ number, type });
export const list = (number: number, type: Field['type']): Field => ({ number, type, isList: true });

/** `map<string, string>`: on the wire, and here, a list of pairs. */
export const map = (number: number): Field => list(number, { key: text(1), value: text(2) });

export const pairsOf = (entries: Readonly<Record<string, string>>): readonly Fields[] =>
  Object.entries(entries).map(([key, value]) => ({ key, value }));

/** Values of fields that are absent, and those that protobuf takes for absent, are left out. */
export function encode(table: Message, fields: Fields): Buffer {
  return Buffer.concat(
    Object.entries(fields).flatMap(([name, value]) => {
      const field = table[name];
      if (field === undefined) {
        throw new Error(`there is no field "${name}" in the message`);
      }
      const values = (field.isList === true ? value : [value]) as readonly (Value | undefined)[];
      return values.map((one) => encodeField(field, one));
    }),
  );
}

function encodeField({ number, type }: Field, value: Value | undefined): Buffer {
  if (value === undefined || value === 0 || value === false) {
    return Buffer.alloc(0);
  }
  if (type === 'number' || type === 'boolean') {
    return Buffer.concat([encodeVarint((number << 3) | VARINT), encodeVarint(Number(value))]);
  }
  const bytes = type === 'string' ? Buffer.from(String(value)) : encode(type, value as Fields);
  return Buffer.concat([encodeVarint((number << 3) | LENGTH_DELIMITED), encodeVarint(bytes.length), bytes]);
}

function encodeVarint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = BigInt(value); bytes.length === 0 || rest > 0n; rest >>= 7n) {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
  }
  return Buffer.from(bytes);
}

/** Every field of the table is there, with protobuf's default where the message has none. */
export function decode(table: Message, bytes: Buffer): Fields {
  const fields: Record<string, Value> = {};
  for (const [name, field] of Object.entries(table)) {
    fields[name] = defaultOf(field);
  }
  const reader = new Reader(bytes);
  while (!reader.isAtEnd) {
    const tag = reader.varint();
    const content = reader.content(tag & 7);
    const [name, field] = Object.entries(table).find(([, { number }]) => number === tag >> 3) ?? [];
    if (name !== undefined && field !== undefined) {
      const value = decodeField(field, content);
      fields[name] = field.isList === true ? [...(fields[name] as readonly Value[]), value] : value;
    }
  }
  return fields;
}

function defaultOf({ type, isList }: Field): Value {
  if (isList === true) {
    return [];
  }
  return type === 'string' ? '' : type === 'number' ? 0 : type === 'boolean' ? false : decode(type, Buffer.alloc(0));
}

function decodeField({ type }: Field, content: number | Buffer): Value {
  if (typeof content === 'number') {
    return type === 'boolean' ? content !== 0 : content;
  }
  return type === 'string' || type === 'number' || type === 'boolean'
    ? content.toString('utf8')
    : decode(type, content);
}

class Reader {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  /** Times in nanoseconds lose their last digits, which nobody reads. */
  varint(): number {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.bytes.readUInt8(this.at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        return Number(value);
      }
    }
  }

  content(wireType: number): number | Buffer {
    switch (wireType) {
      case VARINT:
        return this.varint();
      case LENGTH_DELIMITED:
        return this.take(this.varint());
      case EIGHT_BYTES:
        return this.take(8);
      case FOUR_BYTES:
        return this.take(4);
      default:
        throw new Error(`cannot read the message: wire type ${wireType}`);
    }
  }

  private take(length: number): Buffer {
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
}
