/** Netlink uses the host's byte order. */
export const HOST_IS_LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** struct nlattr: length, number; two bits of the number are flags */
const ATTRIBUTE_HEADER = 4;
const ATTRIBUTE_NUMBER = 0x3fff;
const NLA_F_NESTED = 0x8000;
const LONGEST_ATTRIBUTE = 0xffff;

/**
 * Attributes as tables: a row has a member's name, its number in the kernel's header and its type. Attributes not in
 * the table are available as raw bytes by number, and can be sent on.
 */
export interface Type<T> {
  readonly nested: boolean;
  /** the attribute may occur several times; the value is a list */
  readonly repeated?: boolean;
  encode(value: T): Uint8Array | Uint8Array[];
  decode(bytes: Buffer): T;
  /** the same for a slice, without allocating an object for it */
  readonly decodeAt?: (bytes: Buffer, words: DataView, start: number, end: number) => T;
}

export type Row<T> = readonly [number: number, type: Type<T>];
// biome-ignore lint/suspicious/noExplicitAny: rows of a table have types of their own, inferred one by one
export type Rows = Readonly<Record<string, Row<any>>>;

export type Attributes<R extends Rows> = {
  readonly [K in keyof R]?: R[K] extends Row<infer T> ? T : never;
} & { readonly unknown?: ReadonlyMap<number, Buffer> };

export interface Table<R extends Rows> {
  /** In table order, then unknown ones. */
  encode(values: Attributes<R>): Uint8Array[];
  /** Attributes in the table. */
  decode(bytes: Buffer): Attributes<R>;
  /** Attributes not in the table, by number: pass them as `unknown` to send them on. */
  unknownIn(bytes: Buffer): ReadonlyMap<number, Buffer>;
}

/** The values of a table. */
export type AttributesOf<T> = T extends Table<infer R> ? Attributes<R> : never;

/** Builds the codec of one subsystem's attributes. */
export function table<R extends Rows>(rows: R): Table<R> {
  const inOrder = Object.entries(rows).map(([name, [number, type]]) => ({ name, number, type }));
  const known = new Map(inOrder.map((row) => [row.number, row]));
  return {
    encode(values) {
      const encoded: Uint8Array[] = [];
      for (const { name, number, type } of inOrder) {
        const value: unknown = values[name];
        if (value === undefined) {
          continue;
        }
        for (const one of type.repeated ? (value as readonly unknown[]) : [value]) {
          encoded.push(attribute(number, type.encode(type.repeated ? [one] : one), type.nested));
        }
      }
      for (const [number, bytes] of values.unknown ?? []) {
        encoded.push(attribute(number, bytes, false));
      }
      return encoded;
    },
    decode(bytes) {
      const values: Record<string, unknown> = {};
      walk(bytes, (number, start, end, words) => {
        const row = known.get(number);
        if (row !== undefined) {
          const value: unknown =
            row.type.decodeAt?.(bytes, words, start, end) ?? row.type.decode(bytes.subarray(start, end));
          const before = row.type.repeated ? (values[row.name] as readonly unknown[] | undefined) : undefined;
          values[row.name] = before === undefined ? value : before.concat(value);
        }
      });
      return values as Attributes<R>;
    },
    unknownIn(bytes) {
      const unknown = new Map<number, Buffer>();
      walk(bytes, (number, start, end) => {
        if (!known.has(number)) {
          unknown.set(number, bytes.subarray(start, end));
        }
      });
      return unknown;
    },
  };
}

/** A link has some fifty attributes and we need ten: skip the others without allocating objects. */
function walk(bytes: Buffer, visit: (number: number, start: number, end: number, words: DataView) => void): void {
  const words = viewOf(bytes);
  for (let offset = 0; offset + ATTRIBUTE_HEADER <= bytes.length; ) {
    const length = words.getUint16(offset, HOST_IS_LITTLE);
    if (length < ATTRIBUTE_HEADER || offset + length > bytes.length) {
      throw new RangeError(`an attribute of ${length} bytes does not fit into ${bytes.length - offset}`);
    }
    const number = words.getUint16(offset + 2, HOST_IS_LITTLE) & ATTRIBUTE_NUMBER;
    visit(number, offset + ATTRIBUTE_HEADER, offset + length, words);
    offset += align(length);
  }
}

/**
 * One attribute, padded, in one allocation: the first request of a process consists of some ten of them.
 *
 * @throws RangeError when it is too long for an attribute
 */
export function attribute(type: number, data: Uint8Array | readonly Uint8Array[], nested: boolean): Uint8Array {
  const parts = data instanceof Uint8Array ? [data] : data;
  const length = parts.reduce((sum, part) => sum + part.length, ATTRIBUTE_HEADER);
  if (length > LONGEST_ATTRIBUTE) {
    throw new RangeError(`an attribute of ${length} bytes is longer than ${LONGEST_ATTRIBUTE}`);
  }
  const bytes = new Uint8Array(align(length));
  put16(bytes, 0, length);
  put16(bytes, 2, nested ? type | NLA_F_NESTED : type);
  let offset = ATTRIBUTE_HEADER;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/** Writes a number of 16 bits: a view for each would cost more than all else of an attribute. */
function put16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset + Number(!HOST_IS_LITTLE)] = value;
  bytes[offset + Number(HOST_IS_LITTLE)] = value >>> 8;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** Netlink aligns to four bytes. */
const align = (length: number): number => (length + 3) & ~3;

export const u8: Type<number> = {
  nested: false,
  encode: (value) => Uint8Array.of(value),
  decode: (bytes) => bytes[0] ?? 0,
  decodeAt: (bytes, _, start) => bytes[start] ?? 0,
};

export const u16: Type<number> = {
  nested: false,
  encode(value) {
    const bytes = new Uint8Array(2);
    put16(bytes, 0, value);
    return bytes;
  },
  decode: (bytes) => viewOf(bytes).getUint16(0, HOST_IS_LITTLE),
  decodeAt: (_, words, start) => words.getUint16(start, HOST_IS_LITTLE),
};

export const u32: Type<number> = {
  nested: false,
  encode(value) {
    const bytes = new Uint8Array(4);
    put16(bytes, HOST_IS_LITTLE ? 0 : 2, value);
    put16(bytes, HOST_IS_LITTLE ? 2 : 0, value >>> 16);
    return bytes;
  },
  decode: (bytes) => viewOf(bytes).getUint32(0, HOST_IS_LITTLE),
  decodeAt: (_, words, start) => words.getUint32(start, HOST_IS_LITTLE),
};

/** Text with the kernel's final NUL. */
export const text: Type<string> = {
  nested: false,
  encode: (value) => Buffer.from(`${value}\0`),
  decode: (bytes) => textIn(bytes, 0, bytes.length),
  decodeAt: (bytes, _, start, end) => textIn(bytes, start, end),
};

const textIn = (bytes: Buffer, start: number, end: number): string =>
  bytes.toString('utf8', start, end > start && bytes[end - 1] === 0 ? end - 1 : end);

/** Text without a final NUL, as in `IFLA_INFO_KIND`. */
export const bareText: Type<string> = { ...text, encode: (value) => Buffer.from(value) };

export const raw: Type<Buffer> = {
  nested: false,
  encode: (value) => value,
  decode: (bytes) => bytes,
};

/**
 * Nested attributes. rtnetlink accepts them with and without NLA_F_NESTED; the flag is off where old kernels and the
 * family's golden bytes have it off.
 */
export function nest<R extends Rows>(inner: Table<R>, flagged = false): Type<Attributes<R>> {
  return { nested: flagged, encode: inner.encode, decode: inner.decode };
}

/** All occurrences of an attribute, in order. */
export const many = <T>({ nested, encode, decode }: Type<T>): Type<readonly T[]> => ({
  nested,
  repeated: true,
  encode: ([value]) => encode(value as T),
  decode: (bytes) => [decode(bytes)],
});

/**
 * Visits attributes kept as raw bytes.
 *
 * @param visit gets each number and its value as a slice of `bytes`: writing to it changes them
 */
export const eachAttribute = (bytes: Buffer, visit: (number: number, value: Buffer) => void): void =>
  walk(bytes, (number, start, end) => visit(number, bytes.subarray(start, end)));

/** The same attributes without some of them. */
export function withoutAttributes(bytes: Buffer, numbers: readonly number[]): Buffer {
  const kept: Buffer[] = [];
  walk(bytes, (number, start, end) => {
    if (!numbers.includes(number)) {
      kept.push(bytes.subarray(start - ATTRIBUTE_HEADER, Math.min(align(end), bytes.length)));
    }
  });
  return Buffer.concat(kept);
}
