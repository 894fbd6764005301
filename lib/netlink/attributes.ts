import { align, formatAttribute, pad } from 'netlink/dist/structs.js';

/** Netlink speaks the host's byte order. */
export const HOST_IS_LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** struct nlattr: length, number; two bits of the number are flags */
const ATTRIBUTE_HEADER = 4;
const ATTRIBUTE_NUMBER = 0x3fff;

/**
 * Attributes as tables: a row names a member, its number in the kernel's header and its type. What a table does not
 * know can be had as raw bytes under its number, and sent on.
 */
export interface Type<T> {
  readonly nested: boolean;
  /** the attribute may be there several times, and the value is a list */
  readonly repeated?: boolean;
  encode(value: T): Uint8Array | Uint8Array[];
  decode(bytes: Buffer): T;
}

export type Row<T> = readonly [number: number, type: Type<T>];
// biome-ignore lint/suspicious/noExplicitAny: rows of a table have types of their own, inferred one by one
export type Rows = Readonly<Record<string, Row<any>>>;

export type Attributes<R extends Rows> = {
  readonly [K in keyof R]?: R[K] extends Row<infer T> ? T : never;
} & { readonly unknown?: ReadonlyMap<number, Buffer> };

export interface Table<R extends Rows> {
  /** In the order of the table, then what is unknown. */
  encode(values: Attributes<R>): Uint8Array[];
  /** What the table knows. */
  decode(bytes: Buffer): Attributes<R>;
  /** What it does not know, by number: to be put into `unknown` when the attributes are sent on. */
  unknownIn(bytes: Buffer): ReadonlyMap<number, Buffer>;
}

/** What a table encodes and decodes. */
export type AttributesOf<T> = T extends Table<infer R> ? Attributes<R> : never;

/** The types of one subsystem's attributes. */
export function table<R extends Rows>(rows: R): Table<R> {
  const known = new Map(Object.entries(rows).map(([name, [number, type]]) => [number, { name, type }]));
  return {
    encode(values) {
      const encoded = Object.entries(rows)
        .filter(([name]) => values[name] !== undefined)
        .flatMap(([name, [number, type]]) =>
          (type.repeated ? (values[name] as readonly unknown[]) : [values[name]]).flatMap((value) =>
            attribute(number, type.encode(type.repeated ? [value] : value), type.nested),
          ),
        );
      return encoded.concat([...(values.unknown ?? [])].flatMap(([number, bytes]) => attribute(number, bytes, false)));
    },
    decode(bytes) {
      const values: Record<string, unknown> = {};
      walk(bytes, (number, start, end) => {
        const row = known.get(number);
        if (row !== undefined) {
          const value: unknown = row.type.decode(bytes.subarray(start, end));
          const before = values[row.name] as readonly unknown[] | undefined;
          values[row.name] = row.type.repeated && before ? before.concat(value) : value;
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

/** A link has some fifty attributes and we want ten: the others are passed over without an object being made of them. */
function walk(bytes: Buffer, visit: (number: number, start: number, end: number) => void): void {
  for (let offset = 0; offset + ATTRIBUTE_HEADER <= bytes.length; ) {
    const length = HOST_IS_LITTLE ? bytes.readUInt16LE(offset) : bytes.readUInt16BE(offset);
    if (length < ATTRIBUTE_HEADER || offset + length > bytes.length) {
      throw new RangeError(`an attribute of ${length} bytes does not fit into ${bytes.length - offset}`);
    }
    const number = HOST_IS_LITTLE ? bytes.readUInt16LE(offset + 2) : bytes.readUInt16BE(offset + 2);
    visit(number & ATTRIBUTE_NUMBER, offset + ATTRIBUTE_HEADER, offset + length);
    offset += align(length);
  }
}

/** One attribute, padded. */
export const attribute = (type: number, data: Uint8Array | Uint8Array[], nested: boolean): Uint8Array[] =>
  pad(formatAttribute({ type, data: data as Uint8Array, nested }) as Uint8Array[]);

export const u8: Type<number> = {
  nested: false,
  encode: (value) => Buffer.from([value]),
  decode: (bytes) => bytes.readUInt8(),
};

export const u16: Type<number> = {
  nested: false,
  encode: (value) => new Uint8Array(Uint16Array.of(value).buffer),
  decode: (bytes) => new Uint16Array(aligned(bytes, 2))[0] ?? 0,
};

export const u32: Type<number> = {
  nested: false,
  encode: (value) => new Uint8Array(Uint32Array.of(value).buffer),
  decode: (bytes) => new Uint32Array(aligned(bytes, 4))[0] ?? 0,
};

/** Text with the final NUL that the kernel's string attributes have. */
export const text: Type<string> = {
  nested: false,
  encode: (value) => Buffer.from(`${value}\0`),
  decode: (bytes) => bytes.toString('utf8', 0, bytes.at(-1) === 0 ? bytes.length - 1 : bytes.length),
};

/** Text without a final NUL, as `IFLA_INFO_KIND` is written. */
export const bareText: Type<string> = { ...text, encode: (value) => Buffer.from(value) };

export const raw: Type<Buffer> = {
  nested: false,
  encode: (value) => value,
  decode: (bytes) => bytes,
};

/**
 * Attributes within an attribute. rtnetlink takes them with and without NLA_F_NESTED; the flag is off where old kernels
 * and the golden bytes of the family have it off.
 */
export function nest<R extends Rows>(inner: Table<R>, flagged = false): Type<Attributes<R>> {
  return { nested: flagged, encode: inner.encode, decode: inner.decode };
}

/** Every occurrence of an attribute, in their order. */
export const many = <T>({ nested, encode, decode }: Type<T>): Type<readonly T[]> => ({
  nested,
  repeated: true,
  encode: ([value]) => encode(value as T),
  decode: (bytes) => [decode(bytes)],
});

/** Bytes copied to a buffer of their own: typed arrays need alignment. */
function aligned(bytes: Buffer, size: number): ArrayBuffer {
  const copy = new Uint8Array(size);
  copy.set(bytes.subarray(0, size));
  return copy.buffer;
}

/**
 * Goes through attributes that are kept as raw bytes.
 *
 * @param visit gets the number of each, and its value as a part of `bytes`: what is written into it is changed there
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
