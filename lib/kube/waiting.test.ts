import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Access } from './access.ts';
import { openClient } from './client.ts';
import { type Connection, openConnection } from './connection.ts';
import { configMap } from './testing/objects.ts';
import type { Connector, WireSocket } from './wires.ts';

const ACCESS: Access = {
  server: 'http://api',
  namespace: undefined,
  tls: { ca: undefined, certificate: undefined, key: undefined, serverName: undefined, isUnverified: false },
  token: undefined,
  origin: 'kubeconfig "test"',
};

const OBJECT = { kind: 'ConfigMap', metadata: {} };

/** A server that answers when it is told to, its requests in the order of their coming. */
class Obedient {
  readonly paths: string[] = [];
  readonly #open: EventEmitter[] = [];

  readonly connector: Connector = async () => () => {
    const events = new EventEmitter();
    const socket = Object.assign(events, {
      write: (bytes: string) => {
        this.paths.push(bytes.split(' ')[1] ?? '');
        this.#open.push(events);
        return true;
      },
      ...Object.fromEntries(
        ['destroy', 'setNoDelay', 'setKeepAlive', 'setTimeout', 'ref', 'unref'].map((name) => [name, () => socket]),
      ),
    }) as unknown as WireSocket;
    setImmediate(() => events.emit('connect'));
    return { socket, ready: 'connect' };
  };

  answer(status = '200 OK', headers = ''): void {
    const body = JSON.stringify(OBJECT);
    const bytes = `HTTP/1.1 ${status}\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
    this.#open.shift()?.emit('data', Buffer.from(bytes));
  }
}

const get = (connection: Connection, path: string): Promise<string> =>
  connection.send({ method: 'GET', path, headers: {} }, { timeoutMs: 1_000, signal: undefined }).then(
    () => `${path} answered`,
    (error: Error & { wasSent?: boolean }) => {
      const { name } = error.cause as Error;
      return `${path} ${name}${error.wasSent === true ? '' : ', not sent'}`;
    },
  );

/** Time passes, and whatever waits for something else than time goes on. */
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

describe('a request that waits for a connection', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('has all of its time when its turn comes, for as many as there are before it', async () => {
    const server = new Obedient();
    using connection = await openConnection(ACCESS, server.connector, 2);
    const paths = Array.from({ length: 20 }, (_, index) => `/${index}`);
    const outcomes = Promise.all(paths.map((path) => get(connection, path)));
    for (let round = 0; round < 10; round++) {
      await pass(900);
      server.answer();
      server.answer();
    }
    expect(await outcomes).toEqual(paths.map((path) => `${path} answered`));
    expect(server.paths).toEqual(paths);
  });

  it('waits for a server that says nothing no longer than the one that was sent', async () => {
    const server = new Obedient();
    using connection = await openConnection(ACCESS, server.connector, 1);
    const outcomes = Promise.all(['/sent', '/second', '/third'].map((path) => get(connection, path)));
    await pass(1_010);
    expect(await outcomes).toEqual([
      '/sent DeadlineExceeded',
      expect.stringMatching(/^\/second DeadlineExceeded/),
      '/third DeadlineExceeded, not sent',
    ]);
  });

  it('has its time from the last answer on, not from when somebody else gave up', async () => {
    const server = new Obedient();
    using connection = await openConnection(ACCESS, server.connector, 1);
    const outcomes = ['/first', '/silent', '/after'].map((path) => get(connection, path));
    await pass(600);
    server.answer(); // at 600: the second is sent, and gets no answer
    await pass(1_010);
    expect(await Promise.all(outcomes)).toEqual([
      '/first answered',
      '/silent DeadlineExceeded',
      expect.stringMatching(/^\/after DeadlineExceeded/),
    ]);
  });

  it('says so when a server that answers others has no time for it within a minute', async () => {
    const server = new Obedient();
    using client = await openClient(async () => ACCESS, {
      namespace: 'default',
      connections: 1,
      timeoutMs: 1_000,
      connector: server.connector,
    });
    const crowd = Promise.allSettled(Array.from({ length: 80 }, () => client.api().get(configMap('crowd'))));
    const last = client
      .api()
      .get(configMap('last'))
      .catch((error: Error) => error.message);
    for (let round = 0; round < 70; round++) {
      await pass(900);
      server.answer();
    }
    expect(await last).toBe(
      'cannot get configmaps "last" in "default": "http://api" has too much to do: no connection was free for 60 s',
    );
    client[Symbol.dispose]();
    await crowd;
  });

  it('is asked again as one that had not waited', async () => {
    const server = new Obedient();
    using client = await openClient(async () => ACCESS, {
      namespace: 'default',
      connections: 1,
      timeoutMs: 1_000,
      connector: server.connector,
    });
    const names = ['a', 'b', 'c'];
    const found = Promise.all(names.map((name) => client.api().get(configMap(name))));
    for (let round = 0; round < 2; round++) {
      await pass(900);
      server.answer();
    }
    await pass(10);
    server.answer('429 Too Many Requests', 'Retry-After: 0\r\n');
    await pass(100);
    server.answer();
    expect(await found).toEqual([OBJECT, OBJECT, OBJECT]);
    expect(server.paths.map((path) => path.at(-1))).toEqual(['a', 'b', 'c', 'c']);
  });
});
