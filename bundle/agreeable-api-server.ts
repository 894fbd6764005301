/** An API server that agrees to everything, and holds nothing outside of the heap. */
import type { Connector, WireSocket } from '../lib/kube/wires.ts';

type Listener = (...values: readonly unknown[]) => void;

const HEAD = 'Content-Type: application/json\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n';

/** What a server has, by path. */
export type Objects = Map<string, object>;

/**
 * Answers each request as soon as it is written: whatever is created is there, a patch changes nothing, and what is deleted
 * is gone.
 */
export function agreeableConnector(objects: Objects): Connector {
  let answered = 0;
  return async () => () => {
    const listeners: Record<string, Listener> = {};
    const listen = (event: string, listener: Listener): void => {
      listeners[event] = listener;
    };
    const socket = {
      on: listen,
      once: listen,
      write: (request: string) => {
        const bytes = answerTo(objects, request, answered++ % 2 === 0);
        queueMicrotask(() => listeners['data']?.(bytes));
      },
      destroy: () => undefined,
      setNoDelay: () => undefined,
      setTimeout: () => undefined,
      ref: () => undefined,
      unref: () => undefined,
    } as unknown as WireSocket;
    queueMicrotask(() => listeners['secureConnect']?.());
    return { socket, ready: 'secureConnect' };
  };
}

function answerTo(objects: Objects, request: string, isWhole: boolean): Buffer {
  const [head = '', body = ''] = request.split('\r\n\r\n');
  const [method = '', target = ''] = head.split(' ');
  const path = target.replace(/\?.*/, '');
  const found = objectFor(objects, method, path, body);
  const text = JSON.stringify(found ?? { kind: 'Status', status: 'Failure', reason: 'NotFound', code: 404 });
  const status = found === undefined ? '404 Not Found' : '200 OK';
  return Buffer.from(
    isWhole
      ? `HTTP/1.1 ${status}\r\n${HEAD}Content-Length: ${text.length}\r\n\r\n${text}`
      : `HTTP/1.1 ${status}\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`,
  );
}

/** A path of a list ends with the plural of its kind; no object of the rehearsal has such a name. */
function objectFor(objects: Objects, method: string, path: string, body: string): object | undefined {
  const known = objects.get(path);
  if (method === 'POST') {
    const created = JSON.parse(body) as { readonly metadata: { readonly name: string } };
    const object = { kind: 'Any', ...created, metadata: { ...created.metadata, uid: 'warm', resourceVersion: '1' } };
    objects.set(`${path}/${created.metadata.name}`, object);
    return object;
  }
  if (method === 'DELETE') {
    objects.delete(path);
    return { kind: 'Status', status: 'Success' };
  }
  return known ?? (method === 'GET' && /s$/.test(path) ? { kind: 'List', items: [] } : undefined);
}
