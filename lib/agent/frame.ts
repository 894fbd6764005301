/** What launchers and the agent say to each other (bundle/launcher/launcher.c), in the machine's order of bytes. */
import { CniError } from '../cni/errors.ts';
import { errorText, type Outcome } from '../cni/run.ts';
import type { Env } from '../sys/execute.ts';

/** A call as it came over the socket. */
export interface Request {
  /** of the plugin */
  readonly name: string;
  readonly env: Env;
  readonly stdin: Buffer;
}

/** What the first bytes say of the rest. */
export interface Header {
  /** length of the name and the environment, each entry with its zero */
  readonly words: number;
  readonly stdin: number;
  /** a descriptor of CNI_NETNS comes with the first byte */
  readonly hasDescriptor: boolean;
}

/** No launcher of this build sends that. */
export class MalformedRequest extends Error {
  override readonly name = 'MalformedRequest';
}

export const HEADER_BYTES = 16;
export const MOST_WORDS = 256 * 1024;
export const MOST_STDIN = 4 * 1024 * 1024;
const MOST_ANSWER = 4 * 1024 * 1024;

const MAGIC = 'BRD1';
const HAS_DESCRIPTOR = 1;

/** From here on the call is the agent's: whoever calls must not give it to anybody else. */
export const BEGUN: Buffer = Buffer.from('B');
/** The call was not begun, and will not be. */
export const STOPPING: Buffer = Buffer.from('S');

const ANSWER = 'A'.charCodeAt(0);
const ANSWER_HEADER_BYTES = 12;

/** @throws MalformedRequest */
export function readHeader(bytes: Buffer): Header {
  const [words, stdin, flags] = [bytes.readUInt32LE(4), bytes.readUInt32LE(8), bytes.readUInt32LE(12)];
  if (bytes.toString('latin1', 0, MAGIC.length) !== MAGIC || (flags & ~HAS_DESCRIPTOR) !== 0) {
    throw new MalformedRequest('it is no request of a launcher');
  }
  if (words === 0 || words > MOST_WORDS || stdin > MOST_STDIN) {
    throw new MalformedRequest(`a request has ${words} bytes of words and ${stdin} of stdin`);
  }
  return { words, stdin, hasDescriptor: (flags & HAS_DESCRIPTOR) !== 0 };
}

/**
 * Reads what follows the header.
 *
 * @throws MalformedRequest
 */
export function readBody({ words }: Header, body: Buffer): Request {
  if (body[words - 1] !== 0) {
    throw new MalformedRequest('the words of a request have no end');
  }
  const [name = '', ...entries] = body.toString('utf8', 0, words - 1).split('\0');
  const env: Record<string, string> = Object.create(null);
  for (const entry of entries) {
    const at = entry.indexOf('=');
    const key = entry.slice(0, at);
    if (at > 0 && !(key in env)) {
      env[key] = entry.slice(at + 1); // of two with the same name, getenv(3) finds the first
    }
  }
  return { name, env, stdin: body.subarray(words) };
}

/** The answer to a call; one that no launcher would take becomes an error. */
export function answerBytes({ stdout, stderr, exitCode }: Outcome): Buffer {
  const [document, lines] = [Buffer.from(stdout), Buffer.from(stderr)];
  if (document.length > MOST_ANSWER) {
    const error = new CniError('internal', `cannot answer with ${document.length} bytes: no launcher takes them`);
    return answerBytes({ stdout: errorText(error), stderr, exitCode: 1 });
  }
  const kept = lines.subarray(0, MOST_ANSWER - document.length);
  const header = Buffer.alloc(ANSWER_HEADER_BYTES);
  header[0] = ANSWER;
  header[1] = exitCode;
  header.writeUInt32LE(document.length, 4);
  header.writeUInt32LE(kept.length, 8);
  return Buffer.concat([header, document, kept]);
}
