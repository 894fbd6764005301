import type { Socket } from 'node:net';
import { BEGUN, STOPPING } from './frame.ts';

/** Whom a request is about that is for the agent itself. */
export const AGENT_NAME = 'braid';

/** What an agent says of itself. */
export interface AgentAbout {
  readonly version: string;
  /** of its program */
  readonly build: string;
}

/** Who is at a socket. */
export type AtSocket =
  | { readonly state: 'answers'; readonly about: AgentAbout }
  | { readonly state: 'stopping' | 'silent' }
  /** @param code of the system: ENOENT without a socket, ECONNREFUSED when its agent was killed */
  | { readonly state: 'nobody'; readonly code: string };

/** As launchers have with a call: on a busy node one that starts may need seconds. */
const PATIENCE_MS = 30_000;
const HEADER_BYTES = 16;
const ANSWER_HEADER_BYTES = 12;

/** Asks the agent at a socket who it is. One that systemd starts on demand is started. */
export async function askAgent(path: string, patienceMs = PATIENCE_MS): Promise<AtSocket> {
  const { connect } = await import('node:net');
  const socket = connect(path);
  const timer = setTimeout(() => socket.destroy(), patienceMs);
  try {
    return await converse(socket);
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

function converse(socket: Socket): Promise<AtSocket> {
  const got: Buffer[] = [];
  return new Promise((resolve) => {
    socket.on('connect', () => socket.write(question()));
    socket.on('data', (bytes: Buffer) => {
      got.push(bytes);
      const about = answerIn(Buffer.concat(got));
      if (about !== undefined) {
        resolve(about);
      }
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve({ state: 'nobody', code: error.code ?? '' }));
    socket.on('close', () => resolve({ state: 'silent' }));
  });
}

function question(): Buffer {
  const words = Buffer.from(`${AGENT_NAME}\0`);
  const header = Buffer.alloc(HEADER_BYTES);
  header.write('BRD1');
  header.writeUInt32LE(words.length, 4);
  return Buffer.concat([header, words]);
}

/** undefined while there is more to come. */
function answerIn(bytes: Buffer): AtSocket | undefined {
  const word = bytes.subarray(0, 1);
  if (word.equals(STOPPING)) {
    return { state: 'stopping' };
  }
  if (bytes.length < 1 + ANSWER_HEADER_BYTES) {
    return undefined;
  }
  const size = bytes.readUInt32LE(1 + 4);
  const document = bytes.subarray(1 + ANSWER_HEADER_BYTES);
  if (word.equals(BEGUN) && document.length < size) {
    return undefined;
  }
  return { state: 'answers', about: readAbout(document.toString('utf8', 0, size)) };
}

function readAbout(text: string): AgentAbout {
  try {
    const { version, build } = JSON.parse(text) as AgentAbout;
    return { version: String(version), build: String(build) };
  } catch {
    return { version: '', build: '' };
  }
}
