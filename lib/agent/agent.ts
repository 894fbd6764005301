import type { Server } from '../cni/serve.ts';
import type { OpenService } from '../cni/service.ts';
import type { Native } from '../netns/native.ts';
import { attend, makeDesk } from './attend.ts';
import { Caller } from './caller.ts';
import { Door, type DoorParts } from './door.ts';
import { type Listener, LOOK_MS, listenAt } from './listener.ts';

export interface AgentParts {
  readonly native: Native;
  readonly server: Server;
  /** Begins to listen for launchers, again when the socket was deleted. */
  readonly listen: () => Listener;
  /** what plugins serve besides */
  readonly services: readonly OpenService[];
  /** whether a user may call */
  readonly admits: (uid: number) => boolean;
  readonly signal: AbortSignal;
  /** how long it lives without a call; undefined: for ever */
  readonly idleMs?: number | undefined;
  /** whether it should make room for the program that has replaced its own */
  readonly isReplaced?: (() => boolean) | undefined;
  /** what it says of itself when it is asked, as JSON */
  readonly about: string;
  /**
   * What it does besides calls, from when it can be called until the last call has ended. Never rejects.
   *
   * @param succession fires instead of `over` when another agent listens in its place
   */
  readonly beside?: ((over: AbortSignal, succession: AbortSignal) => Promise<void>) | undefined;
  readonly log: (line: string) => void;
}

const SUCCEEDED = 'another agent listens in its place';

const MOST_CALLERS = 256;

/**
 * Serves calls until the signal fires or another agent takes the socket of launchers over; ends when all that it has begun
 * have ended.
 *
 * @throws Error when it cannot listen
 */
export async function runAgent(parts: AgentParts): Promise<void> {
  const { signal, log } = parts;
  const doors = await openDoors(parts);
  log('takes calls');
  const over = new AbortController();
  const kept = parts.services.map((service) => service.keep?.(over.signal));
  const done = new AbortController();
  const succession = new AbortController();
  const beside = parts.beside?.(done.signal, succession.signal);
  const ending = Promise.withResolvers<string>();
  const stop = (): void => ending.resolve((signal.reason as Error).message);
  signal.addEventListener('abort', stop, { once: true });
  const look = setInterval(() => doors.look(ending.resolve), LOOK_MS);
  if (signal.aborted) {
    stop();
  }
  const why = await ending.promise;
  log(`ends: ${why}`);
  clearInterval(look);
  over.abort();
  await Promise.all([doors.close(), ...kept]);
  (why === SUCCEEDED ? succession : done).abort(new Error('the agent has ended'));
  await beside;
}

interface Doors {
  look(stop: (why: string) => void): void;
  close(): Promise<void>;
}

async function openDoors(parts: AgentParts): Promise<Doors> {
  const { native, log } = parts;
  let isClosing = false;
  const desk = makeDesk({ ...parts, isClosing: () => isClosing });
  const open = (more: Pick<DoorParts, 'listen' | 'attend'>, mostCallers = MOST_CALLERS): Door =>
    new Door({ native, log, mostCallers, ...more });
  const ofServices = new Map<string, Door>();
  const closing: Promise<void>[] = [];
  for (const door of parts.services.flatMap((service) => service.door ?? [])) {
    const { attendHttp } = await import('./attend-http.ts'); // few agents need it
    const { socket, mostCallers } = door;
    const attendOne = await attendHttp({ ...parts, answer: (request, gone) => door.answer(request, gone) });
    ofServices.set(socket, open({ listen: () => listenAt(native, socket), attend: attendOne }, mostCallers));
  }
  const launchers = open({ listen: parts.listen, attend: (fd) => attend(desk, new Caller(native, fd)) });
  const { idleMs = Number.POSITIVE_INFINITY, isReplaced } = parts;
  return {
    look: (stop) => {
      const quietMs = Math.min(...[launchers, ...ofServices.values()].map((door) => door.quietMs()));
      if (!launchers.look()) {
        stop(SUCCEEDED);
      } else if (isReplaced?.() === true) {
        stop('its program was replaced');
      } else if (quietMs >= idleMs) {
        stop(`no call for ${idleMs / 1000} s`);
      }
      for (const [socket, door] of ofServices) {
        if (!door.look()) {
          log(`no longer listens at "${socket}": another program does`);
          ofServices.delete(socket);
          closing.push(door.close());
        }
      }
    },
    close: async () => {
      isClosing = true;
      await Promise.all([...closing, ...[launchers, ...ofServices.values()].map((door) => door.close())]);
    },
  };
}
