/**
 * HTTP/1.1 (RFC 9112) as a client of an API server needs it. Node's own client is not used in a plugin's call: nothing of
 * it can be in the snapshot that the program starts from, so a call would pay for loading and compiling it.
 */

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  /** with its query, below the path of the server's URL */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface HttpAnswer {
  readonly status: number;
  /** names in lower case */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

/** What cannot be the answer of a server that speaks HTTP. */
export class NotHttp extends Error {
  override readonly name = 'NotHttp';
}

export class AnswerTooLong extends Error {
  override readonly name = 'AnswerTooLong';
}

const LONGEST_HEAD = 1 << 16;
/** More than a page of lists of the largest objects. */
const LONGEST_BODY = 1 << 28;

const LINE_END = '\r\n';
const HEAD_END = '\r\n\r\n';

const CONTINUE = 100;
const NO_CONTENT = 204;
const NOT_MODIFIED = 304;

/** The bytes of a request. @throws Error for what would become another request */
export function formatRequest(host: string, { method, path, headers, body = '' }: HttpRequest): string {
  const all = { Host: host, ...headers, ...(method === 'GET' ? {} : { 'Content-Length': Buffer.byteLength(body) }) };
  const lines = [`${method} ${path} HTTP/1.1`, ...Object.entries(all).map(([name, value]) => `${name}: ${value}`)];
  if (/[^!-~]/.test(path) || lines.some((line) => /[^ -~]/.test(line))) {
    throw new Error(`cannot send a request for "${path}": it has characters that no header may have`);
  }
  return `${lines.join(LINE_END)}${HEAD_END}${body}`;
}

/** An answer that is whole. */
export interface Whole {
  readonly answer: HttpAnswer;
  /** another request can follow on the same connection */
  readonly isReusable: boolean;
}

interface Head {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly isNewest: boolean;
}

type Body = 'none' | 'chunks' | 'untilClose' | number;

/** Gets the body of a successful answer as it comes, instead of the answer. */
export type BodySink = (bytes: Buffer) => void;

/** Reads one answer from the bytes of a connection, however they are cut. */
export class AnswerReader {
  readonly #sink: BodySink | undefined;
  #pending: Buffer = Buffer.alloc(0);
  #head: Head | undefined;
  #chunks: Buffer[] = [];
  #length = 0;
  /** of the body or of a chunk, still to come */
  #missing = 0;
  /** what the next line is */
  #chunkPart: 'size' | 'end' | 'trailer' = 'size';

  constructor(sink?: BodySink) {
    this.#sink = sink;
  }

  /** The answer has begun. */
  get hasBegun(): boolean {
    return this.#head !== undefined;
  }

  /**
   * @returns undefined while something is missing
   * @throws NotHttp, AnswerTooLong; what the sink throws
   */
  push(bytes: Buffer): Whole | undefined {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    if (this.#head === undefined && !this.#readHead()) {
      return undefined;
    }
    const isWhole = this.#readBody();
    return isWhole ? this.#whole() : undefined;
  }

  /** The connection was closed in good order. @returns undefined when that is too early */
  end(): Whole | undefined {
    return this.#head !== undefined && bodyOf(this.#head) === 'untilClose' ? this.#whole() : undefined;
  }

  #readHead(): boolean {
    for (;;) {
      const end = this.#pending.indexOf(HEAD_END);
      const seen = end < 0 ? this.#pending.length : end;
      if (seen > LONGEST_HEAD || !'HTTP/1.'.startsWith(this.#pending.toString('latin1', 0, Math.min(7, seen)))) {
        throw new NotHttp();
      }
      if (end < 0) {
        return false;
      }
      const head = parseHead(this.#pending.toString('latin1', 0, end));
      this.#pending = this.#pending.subarray(end + HEAD_END.length);
      if (head.status >= CONTINUE + 100) {
        this.#head = head;
        const body = bodyOf(head);
        this.#missing = typeof body === 'number' ? body : 0;
        return true;
      }
    }
  }

  #readBody(): boolean {
    const body = this.#head === undefined ? 'none' : bodyOf(this.#head);
    switch (body) {
      case 'none':
        return true;
      case 'untilClose':
        this.#take(this.#pending.length);
        return false;
      case 'chunks':
        return this.#readChunks();
      default:
        this.#missing -= this.#take(this.#missing);
        return this.#missing === 0;
    }
  }

  /** RFC 9112, 7.1: a line with the size in hexadecimal, the bytes, a line end; after a size of 0, a trailer. */
  #readChunks(): boolean {
    for (;;) {
      this.#missing -= this.#take(this.#missing);
      const line = this.#missing > 0 ? undefined : this.#takeLine();
      if (line === undefined) {
        return false;
      }
      if (this.#chunkPart === 'trailer' && line === '') {
        return true;
      }
      if (this.#chunkPart === 'size') {
        this.#missing = sizeIn(line);
        this.#chunkPart = this.#missing === 0 ? 'trailer' : 'end';
      } else if (this.#chunkPart === 'end') {
        this.#chunkPart = 'size';
        if (line !== '') {
          throw new NotHttp();
        }
      }
    }
  }

  #takeLine(): string | undefined {
    const end = this.#pending.indexOf(LINE_END);
    if ((end < 0 ? this.#pending.length : end) > LONGEST_HEAD) {
      throw new NotHttp();
    }
    if (end < 0) {
      return undefined;
    }
    const line = this.#pending.toString('latin1', 0, end);
    this.#pending = this.#pending.subarray(end + LINE_END.length);
    return line;
  }

  /** Moves up to so many bytes into the body. */
  #take(most: number): number {
    const taken = this.#pending.subarray(0, most);
    this.#pending = this.#pending.subarray(taken.length);
    if (this.#sink !== undefined && taken.length > 0 && isGood(this.#head)) {
      this.#sink(taken);
      return taken.length;
    }
    this.#length += taken.length;
    if (this.#length > LONGEST_BODY) {
      throw new AnswerTooLong(`the answer has more than ${LONGEST_BODY >> 20} MiB`);
    }
    if (taken.length > 0) {
      this.#chunks.push(taken);
    }
    return taken.length;
  }

  #whole(): Whole {
    const { status, headers, isNewest } = this.#head ?? { status: 0, headers: {}, isNewest: false };
    const isClosing = /\bclose\b/i.test(headers['connection'] ?? '');
    const isDelimited = this.#head !== undefined && bodyOf(this.#head) !== 'untilClose';
    return {
      answer: { status, headers, body: Buffer.concat(this.#chunks).toString('utf8') },
      isReusable: isNewest && !isClosing && isDelimited && this.#pending.length === 0,
    };
  }
}

const isGood = (head: Head | undefined): boolean => head !== undefined && head.status >= 200 && head.status <= 299;

/** @throws NotHttp */
function sizeIn(line: string): number {
  const [size] = /^[0-9a-f]{1,8}(?=$|[ \t;])/i.exec(line) ?? [];
  if (size === undefined) {
    throw new NotHttp();
  }
  return Number.parseInt(size, 16);
}

/** RFC 9112, 6.3. */
function bodyOf({ status, headers }: Head): Body {
  if (status === NO_CONTENT || status === NOT_MODIFIED) {
    return 'none';
  }
  if (headers['transfer-encoding'] !== undefined) {
    return 'chunks';
  }
  return headers['content-length'] === undefined ? 'untilClose' : Number(headers['content-length']);
}

/** @throws NotHttp */
function parseHead(text: string): Head {
  const [first = '', ...lines] = text.split(LINE_END);
  const [, minor, status] = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(first) ?? [];
  if (status === undefined || Number(status) < CONTINUE || status === '101') {
    throw new NotHttp();
  }
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const [, name = '', value = ''] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === '') {
      throw new NotHttp();
    }
    const key = name.toLowerCase();
    headers[key] = headers[key] === undefined ? value : `${headers[key]}, ${value}`;
  }
  const encoding = headers['transfer-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'chunked') {
    throw new NotHttp();
  }
  if (
    encoding === undefined &&
    headers['content-length'] !== undefined &&
    !/^\d{1,15}$/.test(headers['content-length'])
  ) {
    throw new NotHttp();
  }
  return { status: Number(status), headers, isNewest: minor === '1' };
}
