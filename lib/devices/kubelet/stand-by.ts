import { connect } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { watchFolder } from './folders.ts';

/** Between two looks, as one who listens may end each connection at once. */
const AGAIN_MS = 100;

/**
 * Waits until nobody listens at a socket. Who does is connected to: that ends with them, also when they die without a word.
 *
 * @returns whether somebody still did when the signal fired
 */
export async function standBy(socket: string, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted && (await isServedUntilChange(socket, signal))) {
    await sleep(AGAIN_MS);
  }
  return signal.aborted;
}

/** @returns false when nobody listens; else true, as soon as there is reason to look again */
async function isServedUntilChange(path: string, signal: AbortSignal): Promise<boolean> {
  const changed = Promise.withResolvers<boolean>();
  const again = (): void => changed.resolve(true);
  const watcher = watchFolder(dirname(path), again);
  signal.addEventListener('abort', again, { once: true });
  const socket = connect(path);
  socket.on('error', ({ code }: NodeJS.ErrnoException) =>
    changed.resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT'),
  );
  socket.on('close', again);
  socket.resume();
  const isServed = await changed.promise;
  socket.destroy();
  signal.removeEventListener('abort', again);
  watcher.close();
  return isServed;
}
