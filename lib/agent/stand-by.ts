import { setTimeout as sleep } from 'node:timers/promises';
import { askAgent } from './ask.ts';
import { LOOK_MS } from './listener.ts';

/** Waits until no agent takes calls at a socket, or the signal fires. */
export async function standBy(socket: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && (await askAgent(socket)).state !== 'nobody') {
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}
