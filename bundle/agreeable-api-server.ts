/** An API server that agrees to everything, and holds nothing outside of the heap. */
import type { Connector, WireSocket } from '../lib/kube/wires.ts';

type Listener = (...values: readonly unknown[]) => void;

const BODY = '{"kind":"Any","metadata":{"name":"warm"},"items":[]}';
const LENGTH = BODY.length.toString(16);
const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n';
const ANSWERS = [
  `${HEAD}Content-Length: ${BODY.length}\r\n\r\n${BODY}`,
  `${HEAD}Transfer-Encoding: chunked\r\n\r\n${LENGTH}\r\n${BODY}\r\n0\r\n\r\n`,
].map((text) => Buffer.from(text));

/** Answers each request as soon as it is written. */
export const agreeableConnector: Connector = async () => () => {
  const listeners: Record<string, Listener> = {};
  let answered = 0;
  const listen = (event: string, listener: Listener): void => {
    listeners[event] = listener;
  };
  const socket = {
    on: listen,
    once: listen,
    write: () => queueMicrotask(() => listeners['data']?.(ANSWERS[answered++ % ANSWERS.length])),
    destroy: () => undefined,
    setNoDelay: () => undefined,
    setTimeout: () => undefined,
    ref: () => undefined,
    unref: () => undefined,
  } as unknown as WireSocket;
  queueMicrotask(() => listeners['secureConnect']?.());
  return { socket, ready: 'secureConnect' };
};
