/** Frames of HTTP/2: RFC 9113, section 4 and 6. */

/** The other side does not speak HTTP/2, or not as it was agreed. */
export class NotHttp2 extends Error {
  override readonly name = 'NotHttp2';
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  /** 0: of the connection itself */
  readonly stream: number;
  readonly payload: Buffer;
}

export const FRAME = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Which of them a frame may have depends on its type. */
export const FLAG = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

const HEADER_BYTES = 9;
/** Unless agreed otherwise. */
const LARGEST_PAYLOAD = 16_384;
/** Of a block that is sent in parts. */
const LARGEST_BLOCK = 64 * 1024;
const EMPTY = Buffer.alloc(0);

/** A frame as it is sent. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array = EMPTY): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** Finds the frames in what comes on a connection. */
export class FrameReader {
  private rest: Buffer = EMPTY;
  private block: Frame | undefined;

  /**
   * The frames that are complete now, without padding, and headers in one piece.
   *
   * @throws NotHttp2
   */
  push(chunk: Buffer): readonly Frame[] {
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    const frames: Frame[] = [];
    let at = 0;
    while (bytes.length - at >= HEADER_BYTES) {
      const length = bytes.readUIntBE(at, 3);
      if (length > LARGEST_PAYLOAD) {
        throw new NotHttp2(`a frame of ${length} bytes`);
      }
      const end = at + HEADER_BYTES + length;
      if (end > bytes.length) {
        break;
      }
      const [type = 0, flags = 0] = bytes.subarray(at + 3, at + 5);
      const stream = bytes.readUInt32BE(at + 5) % 2 ** 31; // the highest bit is reserved
      const whole = this.joined(unpadded({ type, flags, stream, payload: bytes.subarray(at + HEADER_BYTES, end) }));
      frames.push(...(whole === undefined ? [] : [whole]));
      at = end;
    }
    this.rest = bytes.subarray(at);
    return frames;
  }

  /** @returns undefined for headers of which more is to come */
  private joined(part: Frame): Frame | undefined {
    const begun = this.block;
    if ((part.type === FRAME.continuation) !== (begun !== undefined) || (begun && begun.stream !== part.stream)) {
      throw new NotHttp2('headers that are not in one piece');
    }
    const whole = begun === undefined ? part : { ...begun, payload: Buffer.concat([begun.payload, part.payload]) };
    if (whole.payload.length > LARGEST_BLOCK) {
      throw new NotHttp2('headers that have no end');
    }
    const isComplete = whole.type !== FRAME.headers || (part.flags & FLAG.endHeaders) !== 0;
    this.block = isComplete ? undefined : whole;
    return isComplete ? whole : undefined;
  }
}

/** Without padding, and without the priority that nobody uses any more. */
function unpadded(frame: Frame): Frame {
  const { type, flags, payload } = frame;
  if (type !== FRAME.data && type !== FRAME.headers) {
    return frame;
  }
  const isPadded = (flags & FLAG.padded) !== 0;
  const start = (isPadded ? 1 : 0) + (type === FRAME.headers && (flags & FLAG.priority) !== 0 ? 5 : 0);
  const end = payload.length - (isPadded ? (payload[0] ?? 0) : 0);
  if (start > end) {
    throw new NotHttp2('more padding than there is');
  }
  return { ...frame, flags: flags & ~(FLAG.padded | FLAG.priority), payload: payload.subarray(start, end) };
}
