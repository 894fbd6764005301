import type { Metrics } from './metrics.ts';

export interface Health {
  /** What it says when it is ready; undefined while it is not. */
  readonly standing: () => string | undefined;
  readonly metrics: Metrics;
  /** What else is asked for; undefined for what is not there. */
  readonly other?: (url: URL) => Answer | undefined;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly type?: string;
}

/** `:8080`, `127.0.0.1:8080`, `[::1]:8080` */
export interface HealthAddress {
  /** undefined: all */
  readonly host: string | undefined;
  readonly port: number;
}

/** @returns undefined when it is none */
export function parseAddress(text: string): HealthAddress | undefined {
  const [, host = '', port = ''] = /^(.*):(\d{1,5})$/.exec(text) ?? [];
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  return port === '' || Number(port) > 65_535
    ? undefined
    : { host: bare === '' ? undefined : bare, port: Number(port) };
}

export interface HealthServer extends AsyncDisposable {
  /** 0 when it has none */
  readonly port: number;
}

/** A socket that listens already, and is the server's from now on. */
export interface ListeningSocket {
  readonly fd: number;
}

const OK = 200;
const UNAVAILABLE = 503;
const NOT_FOUND = 404;

const TEXT = 'text/plain; version=0.0.4; charset=utf-8';

/** Nobody has more to say, and the agent's callers come first. */
const MOST_CONNECTIONS = 32;
const REQUEST_MS = 10_000;

/**
 * Serves /healthz, /readyz and /metrics.
 *
 * @throws the error of Node when it cannot listen there
 */
export async function serveHealth(where: HealthAddress | ListeningSocket, health: Health): Promise<HealthServer> {
  const { createServer } = await import('node:http');
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, answer) => {
    const { status, text, type = TEXT } = answerTo(request.url ?? '', health);
    answer.writeHead(status, { 'Content-Type': type });
    answer.end(request.method === 'HEAD' ? undefined : text);
  });
  server.maxConnections = MOST_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answerTo(target: string, { standing, metrics, other }: Health): Answer {
  const url = URL.parse(target, 'http://localhost');
  switch (url?.pathname) {
    case '/healthz':
      return { status: OK, text: 'ok\n' };
    case '/readyz': {
      const now = standing();
      return now === undefined ? { status: UNAVAILABLE, text: 'starting\n' } : { status: OK, text: `${now}\n` };
    }
    case '/metrics':
      return { status: OK, text: metrics.text() };
    default:
      return (url && other?.(url)) ?? { status: NOT_FOUND, text: 'there are /healthz, /readyz and /metrics\n' };
  }
}
