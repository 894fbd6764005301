/**
 * Headers of HTTP/2: RFC 7541. Without the dynamic table, which our settings do not allow, and of the static table with
 * what a gRPC server's answers have of it: the status of HTTP. Other names in it are of no use to us.
 */
import { NotHttp2 } from './frames.ts';
import { huffmanDecoded } from './huffman.ts';

export type Headers = Readonly<Record<string, string>>;

const STATIC_ENTRIES = 61;
const FIRST_STATUS = 8;
const STATUSES = ['200', '204', '206', '304', '400', '404', '500'];

/** Headers as they are sent: texts as they are. */
export const encodeHeaders = (headers: Headers): Buffer =>
  Buffer.concat(
    Object.entries(headers).flatMap(([name, value]) => [Buffer.of(0), encodeText(name), encodeText(value)]),
  );

function encodeText(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([encodeWhole(bytes.length), bytes]);
}

/** Section 5.1, with a prefix of 7 bits. */
function encodeWhole(value: number): Buffer {
  if (value < 127) {
    return Buffer.of(value);
  }
  const bytes = [127];
  for (let rest = value - 127; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) {
      return Buffer.from([...bytes, rest]);
    }
    bytes.push((rest % 128) + 128);
  }
}

/** @throws NotHttp2 */
export function decodeHeaders(block: Buffer): Headers {
  const reader = new BlockReader(block);
  const headers: [string, string][] = [];
  while (!reader.isDone) {
    const kind = reader.peek();
    if (kind & 0x80) {
      const index = reader.whole(7);
      headers.push([nameAt(index), STATUSES[index - FIRST_STATUS] ?? '']);
    } else if ((kind & 0xe0) === 0x20) {
      if (reader.whole(5) !== 0) {
        throw new NotHttp2('a table of headers that is not allowed');
      }
    } else {
      const index = reader.whole(kind & 0x40 ? 6 : 4);
      headers.push([index === 0 ? reader.text() : nameAt(index), reader.text()]);
    }
  }
  return Object.fromEntries(headers);
}

function nameAt(index: number): string {
  if (index === 0 || index > STATIC_ENTRIES) {
    throw new NotHttp2(`header ${index}, which is in no table`);
  }
  return STATUSES[index - FIRST_STATUS] === undefined ? `static ${index}` : ':status';
}

class BlockReader {
  private readonly block: Buffer;
  private at = 0;

  constructor(block: Buffer) {
    this.block = block;
  }

  get isDone(): boolean {
    return this.at >= this.block.length;
  }

  peek(): number {
    const byte = this.block[this.at];
    if (byte === undefined) {
      throw new NotHttp2('headers that end too early');
    }
    return byte;
  }

  /** Section 5.1. */
  whole(prefixBits: number): number {
    const most = 2 ** prefixBits - 1;
    let value = this.next() & most;
    if (value < most) {
      return value;
    }
    for (let factor = 1; ; factor *= 128) {
      const byte = this.next();
      value += (byte & 0x7f) * factor;
      if (value > this.block.length + STATIC_ENTRIES) {
        throw new NotHttp2('headers that end too early'); // neither a length nor an index is so large
      }
      if (byte < 0x80) {
        return value;
      }
    }
  }

  /** Section 5.2. */
  text(): string {
    const isCoded = (this.peek() & 0x80) !== 0;
    const length = this.whole(7);
    const bytes = this.block.subarray(this.at, this.at + length);
    if (bytes.length < length) {
      throw new NotHttp2('headers that end too early');
    }
    this.at += length;
    return (isCoded ? huffmanDecoded(bytes) : bytes).toString('utf8');
  }

  private next(): number {
    const byte = this.peek();
    this.at++;
    return byte;
  }
}
