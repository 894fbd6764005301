/** One request and its answer on a connection of HTTP/2. */
import { FLAG, FRAME, type Frame, FrameReader, frame, NotHttp2 } from './frames.ts';
import { decodeHeaders, encodeHeaders, type Headers } from './hpack.ts';

/** The server ends the stream, or the connection, with an error instead of an answer. */
export class Ended extends Error {
  override readonly name = 'Ended';
}

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
/** Of our only request. */
const STREAM = 1;
/** Nothing waits for room to be made: how much comes is limited by who reads it. */
const LARGEST_WINDOW = 2 ** 31 - 1;
const USUAL_WINDOW = 65_535;
const SETTING = { headerTableSize: 1, enablePush: 2, initialWindowSize: 4 } as const;
/** As large as a frame and a window may be without asking. */
const LONGEST_REQUEST = 16_384;

/** Everything that is sent before an answer comes. */
export function requestBytes(headers: Headers, body: Buffer): Buffer {
  if (body.length > LONGEST_REQUEST) {
    throw new RangeError(`the request is longer than ${LONGEST_REQUEST} bytes`);
  }
  return Buffer.concat([
    Buffer.from(PREFACE),
    frame(
      FRAME.settings,
      0,
      0,
      settings([
        [SETTING.headerTableSize, 0],
        [SETTING.enablePush, 0],
        [SETTING.initialWindowSize, LARGEST_WINDOW],
      ]),
    ),
    frame(FRAME.windowUpdate, 0, 0, u32(LARGEST_WINDOW - USUAL_WINDOW)),
    frame(FRAME.headers, FLAG.endHeaders, STREAM, encodeHeaders(headers)),
    frame(FRAME.data, FLAG.endStream, STREAM, body),
  ]);
}

/** What is sent when the connection is not needed any more. */
export const farewell = (): Buffer => frame(FRAME.goAway, 0, 0, Buffer.concat([u32(0), u32(0)]));

function settings(pairs: readonly (readonly [setting: number, value: number])[]): Buffer {
  const bytes = Buffer.alloc(pairs.length * 6);
  for (const [index, [setting, value]] of pairs.entries()) {
    bytes.writeUInt16BE(setting, index * 6);
    bytes.writeUInt32BE(value, index * 6 + 2);
  }
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Reads the answer. */
export class ExchangeReader {
  private readonly frames = new FrameReader();
  private readonly longest: number;
  private readonly chunks: Buffer[] = [];
  private length = 0;
  private isGreeted = false;
  private isEnded = false;
  /** those before the body and those behind it */
  headers: Headers = {};

  /** @param longest body, in bytes */
  constructor(longest: number) {
    this.longest = longest;
  }

  get isComplete(): boolean {
    return this.isEnded;
  }

  get body(): Buffer {
    return Buffer.concat(this.chunks);
  }

  /**
   * @returns what is to be sent back
   * @throws NotHttp2, Ended, RangeError when the body is too long
   */
  push(chunk: Buffer): Buffer {
    return Buffer.concat(this.frames.push(chunk).map((one) => this.take(one)));
  }

  private take(one: Frame): Buffer {
    const { type, flags, stream, payload } = one;
    if (!this.isGreeted && type !== FRAME.settings) {
      throw new NotHttp2('no settings at the beginning');
    }
    this.isGreeted = true;
    const isAck = (flags & FLAG.ack) !== 0;
    if (type === FRAME.settings) {
      return isAck ? NOTHING : frame(FRAME.settings, FLAG.ack, 0);
    }
    if (type === FRAME.ping) {
      return isAck ? NOTHING : frame(FRAME.ping, FLAG.ack, 0, payload);
    }
    if (type === FRAME.pushPromise) {
      throw new NotHttp2('a promise, which is not allowed');
    }
    if (type === FRAME.goAway) {
      this.takeGoAway(payload);
    } else if (stream === STREAM && !this.isEnded) {
      this.takeOwn(one);
    }
    return NOTHING;
  }

  /** A server that goes finishes streams up to a number. */
  private takeGoAway(payload: Buffer): void {
    const [last, code] = payload.length < 8 ? [0, 0] : [payload.readUInt32BE(0), payload.readUInt32BE(4)];
    if (last < STREAM && !this.isEnded) {
      throw new Ended(`it goes away (HTTP/2 error ${code})`);
    }
  }

  private takeOwn({ type, flags, payload }: Frame): void {
    if (type === FRAME.reset) {
      throw new Ended(`it ends the call (HTTP/2 error ${payload.length < 4 ? 0 : payload.readUInt32BE(0)})`);
    }
    if (type === FRAME.headers) {
      this.headers = { ...this.headers, ...decodeHeaders(payload) };
    } else if (type === FRAME.data) {
      this.length += payload.length;
      if (this.length > this.longest) {
        throw new RangeError('too long');
      }
      this.chunks.push(payload);
    } else {
      return;
    }
    this.isEnded = (flags & FLAG.endStream) !== 0;
  }
}

const NOTHING = Buffer.alloc(0);
