/** Bytes over a unix socket. */
import { spawn } from 'node:child_process';
import { connect } from 'node:net';

/**
 * Sends these bytes, and returns what comes back until the other end closes.
 *
 * @param ends whether the caller ends a second later, whatever it has got by then: that takes back a call under way
 */
export function exchange(path: string, bytes: Buffer, ends = true): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = connect({ path, allowHalfOpen: true });
    const got: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => got.push(chunk));
    socket.on('error', () => undefined);
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve(Buffer.concat(got)));
    socket.write(bytes);
    if (ends) {
      const timer = setTimeout(() => socket.end(), 1000);
      socket.once('close', () => clearTimeout(timer));
    }
  });
}

/** What a user gets to see who connects and sends something: what comes back, and how it ends. */
export async function connectAs(uid: number, path: string): Promise<string> {
  const script = `
    const socket = require('node:net').connect(process.argv[1]);
    socket.on('data', (bytes) => console.log(String(bytes)));
    socket.on('error', ({ code }) => console.log(code));
    socket.on('close', (failed) => failed || console.log('closed'));
    socket.write('BRD1');`;
  const child = spawn('setpriv', [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', 'node', '-e', script, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: '/',
  });
  const said: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => said.push(chunk));
  await new Promise((resolve) => child.on('close', resolve));
  return Buffer.concat(said).toString('utf8').trim();
}

/** A request as launchers send it, without a descriptor. */
export function requestOf(name: string, env: Readonly<Record<string, string>>, stdin: string): Buffer {
  const words = Buffer.from([name, ...Object.entries(env).map(([key, value]) => `${key}=${value}`), ''].join('\0'));
  const header = Buffer.alloc(16);
  header.write('BRD1', 'latin1');
  header.writeUInt32LE(words.length, 4);
  header.writeUInt32LE(Buffer.byteLength(stdin), 8);
  return Buffer.concat([header, words, Buffer.from(stdin)]);
}

/** What an agent's bytes say: `B`, then the answer. */
export function answerIn(bytes: Buffer): { readonly exitCode: number; readonly stdout: string } {
  if (bytes.toString('latin1', 0, 2) !== 'BA') {
    throw new Error(`not an answer: ${JSON.stringify(bytes.toString('latin1'))}`);
  }
  const [at, length] = [13, bytes.readUInt32LE(5)];
  return { exitCode: bytes.readUInt8(2), stdout: bytes.toString('utf8', at, at + length) };
}
