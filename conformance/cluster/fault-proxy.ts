/** Stands between a client and the API server, and lets one of its requests go wrong. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';

/** What becomes of a request. Those `after` were carried out, and the client does not hear of it. */
export const FAULTS = [
  'cut before',
  'cut after',
  'killed before',
  'killed after',
  'slow',
  'twice',
  'answered 409',
  'answered 422',
  'answered 429',
  'answered 500',
  'answered 504 after',
] as const;
export type Fault = (typeof FAULTS)[number];

const REASONS: Readonly<Record<number, string>> = {
  409: 'Conflict',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  504: 'Timeout',
};

const SLOW_MS = 700;

interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

/** A request that only reads, or one that changes something: its number among these, since faults were set. */
export type Kind = { readonly read: number } | { readonly write: number };

export type FaultOf = (number: number, kind: Kind) => Fault | undefined;

/** A server without TLS: kubeconfig has its address instead of the API server's. */
export class FaultProxy implements AsyncDisposable {
  /** Which fault the next requests have, if any; counted from 1 since it was set. */
  faultOf: FaultOf = () => undefined;
  /** kills whose request it is */
  victim: () => void = () => undefined;
  readonly url: string;
  /** since they were counted last */
  requests = 0;
  private reads = 0;
  private readonly server: ReturnType<typeof createServer>;
  private readonly cluster: Cluster;
  private readonly agent: Agent;

  private constructor(cluster: Cluster, server: ReturnType<typeof createServer>) {
    this.cluster = cluster;
    this.server = server;
    this.agent = new Agent({ keepAlive: true, ca: cluster.ca });
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async open(cluster: Cluster): Promise<FaultProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const proxy = new FaultProxy(cluster, server);
    server.on('request', (request, response) => void proxy.serve(request, response));
    return proxy;
  }

  /** From now on requests are counted anew. */
  expect(faultOf: FaultOf, victim: () => void = () => undefined): void {
    this.requests = 0;
    this.reads = 0;
    this.faultOf = faultOf;
    this.victim = victim;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.agent.destroy();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (/[?&]watch=/.test(request.url ?? '')) {
        return await this.pass(request, response);
      }
      const body = await bodyOf(request);
      const fault = this.faultOf(++this.requests, this.kindOf(request));
      await this.answer(fault, request, body, response);
    } catch {
      response.destroy(); // the API server is away, or the client
    }
  }

  private kindOf({ method }: IncomingMessage): Kind {
    return method === 'GET' ? { read: ++this.reads } : { write: this.requests - this.reads };
  }

  private async answer(
    fault: Fault | undefined,
    request: IncomingMessage,
    body: Buffer,
    response: ServerResponse,
  ): Promise<void> {
    const [word, when] = fault?.split(' ') ?? [];
    if (when === 'before') {
      return this.end(word, response);
    }
    if (word === 'answered' && !fault?.endsWith('after')) {
      return send(response, statusReply(Number(when)));
    }
    if (word === 'slow') {
      await sleep(SLOW_MS);
    }
    if (word === 'twice') {
      await this.forward(request, body);
    }
    const reply = await this.forward(request, body);
    if (word === 'answered') {
      return send(response, statusReply(Number(when)));
    }
    return when === 'after' ? this.end(word, response) : send(response, reply);
  }

  /** A watch, as it comes; it is not counted. */
  private pass({ method = 'GET', url = '/', headers }: IncomingMessage, response: ServerResponse): Promise<void> {
    const { host: _, connection: __, ...kept } = headers;
    return new Promise((resolve, reject) => {
      const outgoing = httpsRequest(
        new URL(url, this.cluster.url),
        { method, agent: this.agent, headers: kept },
        (answer) => {
          response.writeHead(answer.statusCode ?? 0, { 'content-type': answer.headers['content-type'] ?? '' });
          response.flushHeaders();
          answer.pipe(response).on('close', resolve);
        },
      );
      response.on('close', () => outgoing.destroy());
      outgoing.on('error', reject);
      outgoing.end();
    });
  }

  private end(word: string | undefined, response: ServerResponse): void {
    if (word === 'killed') {
      this.victim();
    }
    response.destroy();
  }

  private forward({ method = 'GET', url = '/', headers }: IncomingMessage, body: Buffer): Promise<Reply> {
    const { host: _, connection: __, ...kept } = headers;
    return new Promise((resolve, reject) => {
      const options = { method, agent: this.agent, headers: { ...kept, 'content-length': body.length } };
      const outgoing = httpsRequest(new URL(url, this.cluster.url), options, (answer) => {
        bodyOf(answer).then(
          (bytes) =>
            resolve({
              status: answer.statusCode ?? 0,
              contentType: answer.headers['content-type'] ?? '',
              body: bytes,
            }),
          reject,
        );
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function statusReply(code: number): Reply {
  const status = {
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    reason: REASONS[code],
    message: 'a fault',
    code,
  };
  return { status: code, contentType: 'application/json', body: Buffer.from(JSON.stringify(status)) };
}

function send(response: ServerResponse, { status, contentType, body }: Reply): void {
  const headers = { 'content-type': contentType, 'content-length': body.length };
  response.writeHead(status, status === 429 ? { ...headers, 'retry-after': '1' } : headers);
  response.end(body);
}
