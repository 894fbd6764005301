import { request } from 'node:http';
import { dirname, join } from 'node:path';
import { AGENT_SOCKET, STATUS_SOCKET_NAME } from '../program.ts';

/** Where the agent of a node is looked at, unless it was told otherwise. */
export const STATUS_SOCKET: string = join(dirname(AGENT_SOCKET), STATUS_SOCKET_NAME);

const TIMEOUT_MS = 10_000;

/**
 * Asks an agent about itself.
 *
 * @throws Error when it does not answer
 */
export async function askAgent<T>(socket: string, path: string): Promise<T> {
  let text: string;
  try {
    text = await textFrom(socket, path);
  } catch (error) {
    throw new Error(`cannot reach the agent at "${socket}": ${reasonOf(error)}`, { cause: error });
  }
  return JSON.parse(text) as T;
}

const textFrom = (socketPath: string, path: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, signal: AbortSignal.timeout(TIMEOUT_MS), agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.once('error', reject);
      answer.once('end', () => {
        if (answer.statusCode === 200) {
          resolve(Buffer.concat(chunks).toString('utf8'));
        } else {
          reject(new Error(`it answers with status ${answer.statusCode}`));
        }
      });
    });
    sent.once('error', reject);
    sent.end();
  });

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return 'no agent runs there: "braid agent" is one, "--status FILE" says where another is';
    case 'EACCES':
      return 'only root may';
    case 'ABORT_ERR':
      return `no answer within ${TIMEOUT_MS / 1000} s`;
    default:
      return message;
  }
}
