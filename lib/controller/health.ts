import type { Metrics } from './metrics.ts';

export interface Health {
  /** What it says when it is ready; undefined while it is not. */
  readonly standing: () => string | undefined;
  readonly metrics: Metrics;
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
  readonly port: number;
}

const OK = 200;
const UNAVAILABLE = 503;
const NOT_FOUND = 404;

/**
 * Serves /healthz, /readyz and /metrics.
 *
 * @throws the error of Node when it cannot listen there
 */
export async function serveHealth({ host, port }: HealthAddress, health: Health): Promise<HealthServer> {
  const { createServer } = await import('node:http');
  const server = createServer((request, answer) => {
    const { status, text } = answerTo((request.url ?? '').split('?')[0] ?? '', health);
    answer.writeHead(status, { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' });
    answer.end(request.method === 'HEAD' ? undefined : text);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host }, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answerTo(path: string, { standing, metrics }: Health): { readonly status: number; readonly text: string } {
  switch (path) {
    case '/healthz':
      return { status: OK, text: 'ok\n' };
    case '/readyz': {
      const now = standing();
      return now === undefined ? { status: UNAVAILABLE, text: 'starting\n' } : { status: OK, text: `${now}\n` };
    }
    case '/metrics':
      return { status: OK, text: metrics.text() };
    default:
      return { status: NOT_FOUND, text: 'there are /healthz, /readyz and /metrics\n' };
  }
}
