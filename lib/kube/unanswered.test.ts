import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type Authority, certify, makeAuthority } from '../testing/certificates.ts';
import type { Access, TlsAccess } from './access.ts';
import { ApiError, type KubeApi } from './api.ts';
import { openClient } from './client.ts';
import { openConnection } from './connection.ts';
import { CONFIG_MAPS, configMap } from './testing/objects.ts';
import { type Behave, reply, serve, serveRaw, type Tls } from './testing/server.ts';
import { connector } from './wires.ts';

const closing: (Disposable | AsyncDisposable)[] = [];
afterEach(async () => {
  for (const one of closing.splice(0).reverse()) {
    await (Symbol.asyncDispose in one ? one[Symbol.asyncDispose]() : one[Symbol.dispose]());
  }
});

const NO_TLS: TlsAccess = {
  ca: undefined,
  certificate: undefined,
  key: undefined,
  serverName: undefined,
  isUnverified: false,
};

const accessTo = (server: string, tls = NO_TLS): Access => ({
  server,
  namespace: undefined,
  tls,
  token: undefined,
  origin: 'kubeconfig "test"',
});

async function apiAt(
  server: string,
  { timeoutMs = 5_000, signal, tls = NO_TLS }: { timeoutMs?: number; signal?: AbortSignal; tls?: TlsAccess } = {},
): Promise<KubeApi> {
  const client = await openClient(async () => accessTo(server, tls), { namespace: 'kube-system', timeoutMs });
  closing.push(client);
  return client.api(signal);
}

async function served(behave: Behave, tls?: Tls): Promise<string> {
  const server = await serve(behave, tls);
  closing.push(server);
  return server.url;
}

async function servedRaw(behave: Parameters<typeof serveRaw>[0]): Promise<string> {
  const server = await serveRaw(behave);
  closing.push(server);
  return server.url;
}

const OBJECT = { kind: 'ConfigMap', metadata: { name: 'a' } };
const agree: Behave = (_, answer) => reply(answer, 200, OBJECT);

/** What a read and a write say, which is the same. */
async function failureAt(api: KubeApi): Promise<Pick<ApiError, 'message' | 'isOutcomeUnknown' | 'status'>> {
  const [read, write] = await Promise.all([
    errorOf(api.get(configMap('a'))),
    errorOf(api.create(CONFIG_MAPS, { metadata: { name: 'a' } })),
  ]);
  expect(read.isOutcomeUnknown).toBe(false);
  const [readWhy, message] = [read, write].map((error) =>
    error.message.replace(/^cannot \S+ configmaps "a" in "default": /, ''),
  );
  expect(readWhy).toBe(message);
  return { message: message ?? '', isOutcomeUnknown: write.isOutcomeUnknown, status: write.status };
}

async function errorOf(promise: Promise<unknown>): Promise<ApiError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ApiError);
  return error as ApiError;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('a server that cannot be reached', () => {
  it('refuses the connection', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    expect(await failureAt(await apiAt(url))).toEqual({
      message: `nothing listens at "${url}": ECONNREFUSED (connection refused)`,
      isOutcomeUnknown: false,
      status: undefined,
    });
  });

  it('has a name that is not known', async () => {
    const { message, isOutcomeUnknown } = await failureAt(await apiAt('https://api.invalid:6443'));
    expect(message).toMatch(
      /^(the name "api.invalid" is not known: ENOTFOUND|no name server answers for "api.invalid": EAI_AGAIN)$/,
    );
    expect(isOutcomeUnknown).toBe(false);
  });
});

describe('a server that fails in the middle', () => {
  it('does not answer in time', async () => {
    const url = await served(() => undefined);
    expect(await failureAt(await apiAt(url, { timeoutMs: 100 }))).toEqual({
      message: `"${url}" has not answered within 0.1 s`,
      isOutcomeUnknown: true,
      status: undefined,
    });
  });

  it('answers half in time', async () => {
    const url = await served((_, answer) => {
      answer.writeHead(200, { 'Content-Length': '100' });
      answer.write('{');
    });
    expect(await failureAt(await apiAt(url, { timeoutMs: 100 }))).toMatchObject({
      message: `"${url}" has not answered within 0.1 s`,
      isOutcomeUnknown: true,
    });
  });

  it('answers half, and closes', async () => {
    const url = await served(({ socket }, answer) => {
      answer.writeHead(200, { 'Content-Length': '100' });
      answer.write('{"kind":"ConfigMap"', () => socket.end());
    });
    expect(await failureAt(await apiAt(url))).toMatchObject({
      message: `"${url}" has closed the connection before its answer was complete`,
      isOutcomeUnknown: true,
    });
  });

  it('resets the connection after the request', async () => {
    const url = await served(({ socket }) => socket.resetAndDestroy());
    expect(await failureAt(await apiAt(url))).toMatchObject({
      message: `"${url}" has reset the connection before its answer was complete: ECONNRESET`,
      isOutcomeUnknown: true,
    });
  });

  it('says something that is not HTTP', async () => {
    const url = await servedRaw((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
    expect(await failureAt(await apiAt(url))).toMatchObject({
      message: `"${url}" does not speak HTTP: is it an API server`,
      isOutcomeUnknown: true,
    });
  });

  it('keeps a request that waits for a connection in doubt of nothing', async () => {
    const server = await serve(() => undefined);
    closing.push(server);
    const connection = await openConnection(accessTo(server.url), connector, 1);
    const request = { method: 'POST', path: '/', headers: {}, body: '{}' } as const;
    const first = connection.send(request, { timeoutMs: 30_000, signal: undefined });
    const second = connection.send(request, { timeoutMs: 100, signal: undefined });
    await expect(second).rejects.toMatchObject({ name: 'Unanswered', wasSent: false });
    connection[Symbol.dispose]();
    await expect(first).rejects.toMatchObject({ name: 'Unanswered', wasSent: true });
    expect(server.received).toHaveLength(1);
  });
});

describe('the end of a call', () => {
  const reason = new Error('the call is over');

  it('ends requests with its reason, whether they are sent or not', async () => {
    const controller = new AbortController();
    const url = await served(() => controller.abort(reason));
    const api = await apiAt(url, { signal: controller.signal });
    await expect(api.create(CONFIG_MAPS, { metadata: { name: 'a' } })).rejects.toBe(reason);
    await expect(api.get(configMap('a'))).rejects.toBe(reason);
  });

  it('ends a wait that the server has asked for', async () => {
    const controller = new AbortController();
    const url = await served((_, answer) => {
      reply(answer, 429, { kind: 'Status' }, { 'Retry-After': '4' });
      setTimeout(() => controller.abort(reason), 50);
    });
    const api = await apiAt(url, { signal: controller.signal });
    await expect(api.get(configMap('a'))).rejects.toBe(reason);
  });
});

describe('TLS', () => {
  const own = makeAuthority('own');
  const trusting = (authority: Authority, more: Partial<TlsAccess> = {}): TlsAccess => ({
    ...NO_TLS,
    ca: authority.certificate,
    ...more,
  });
  const server = (wanted: Partial<Parameters<typeof certify>[0]> = {}, authority = own): Tls =>
    certify({ name: 'server', hosts: ['127.0.0.1'], ...wanted }, authority);

  it('works with a certificate of the CA', async () => {
    const api = await apiAt(await served(agree, server()), { tls: trusting(own) });
    expect(await api.get(configMap('a'))).toEqual(OBJECT);
  });

  it('shows the client certificate, which the server may insist on', async () => {
    const url = await served(agree, { ...server(), ca: own.certificate });
    const client = certify({ name: 'me' }, own);
    const api = await apiAt(url, { tls: trusting(own, client) });
    expect(await api.get(configMap('a'))).toEqual(OBJECT);
    const { message } = await failureAt(await apiAt(url, { tls: trusting(own) }));
    expect(message).toContain(
      'refuses the connection (tlsv13 alert certificate required): does it accept the client certificate of the kubeconfig "test"',
    );
  });

  it.each([
    ['of another name', makeAuthority('another')],
    ['of the same name', makeAuthority('own')],
  ])('refuses a server whose certificate is of another CA, %s', async (_, other) => {
    const url = await served(agree, server());
    expect(await failureAt(await apiAt(url, { tls: trusting(other) }))).toEqual({
      message: `the certificate of "${url}" is not signed by a CA that the kubeconfig "test" trusts: is its CA that of another cluster, or an old one`,
      isOutcomeUnknown: false,
      status: undefined,
    });
  });

  it('refuses a server that only the system does not know, when no CA is named', async () => {
    const { message } = await failureAt(await apiAt(await served(agree, server())));
    expect(message).toContain('is not signed by a CA that the kubeconfig "test" trusts');
  });

  it('takes any server when it is told to', async () => {
    const api = await apiAt(await served(agree, server()), { tls: { ...NO_TLS, isUnverified: true } });
    expect(await api.get(configMap('a'))).toEqual(OBJECT);
  });

  it('refuses a certificate that has expired, or is not valid yet', async () => {
    const dates = { from: new Date('2020-01-01'), to: new Date('2020-02-01') };
    const expired = await failureAt(await apiAt(await served(agree, server(dates)), { tls: trusting(own) }));
    expect(expired.message).toMatch(/^the certificate of ".*" has expired, or the clock of this node is wrong$/);
    const early = { from: new Date('2100-01-01'), to: new Date('2100-02-01') };
    const future = await failureAt(await apiAt(await served(agree, server(early)), { tls: trusting(own) }));
    expect(future.message).toMatch(/^the certificate of ".*" is not valid yet: is the clock of this node right$/);
    expect([expired.isOutcomeUnknown, future.isOutcomeUnknown]).toEqual([false, false]);
  });

  it('wants the name of the server, or another one that it is told', async () => {
    const url = await served(agree, server({ hosts: ['kubernetes'] }));
    expect((await failureAt(await apiAt(url, { tls: trusting(own) }))).message).toBe(
      `the certificate of "${url}" is not for "127.0.0.1", but for DNS:kubernetes`,
    );
    const api = await apiAt(url, { tls: trusting(own, { serverName: 'kubernetes' }) });
    expect(await api.get(configMap('a'))).toEqual(OBJECT);
  });

  it('is missed at a server that speaks none, and the other way round', async () => {
    const plain = (await served(agree)).replace('http:', 'https:');
    expect((await failureAt(await apiAt(plain, { tls: trusting(own) }))).message).toBe(
      `"${plain}" does not speak TLS: should its URL begin with http://`,
    );
    const secured = (await served(agree, server())).replace('https:', 'http:');
    expect((await failureAt(await apiAt(secured))).message).toMatch(
      /^"http:.*" (has closed the connection|does not speak HTTP)/,
    );
  });

  it('refuses what is no certificate or no key when the client is opened', async () => {
    const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    const error = await errorOf(apiAt('https://127.0.0.1:1', { tls: trusting({ ...own, certificate: broken }) }));
    expect(error.message).toMatch(/^cannot use the certificates of the kubeconfig "test": /);
  });

  it('tells of a client certificate that has expired', async () => {
    const url = await served((_, answer) => reply(answer, 401, { kind: 'Status', message: 'Unauthorized' }), server());
    const client = certify({ name: 'me', from: new Date('2020-01-01'), to: new Date('2020-02-01') }, own);
    const { message } = await failureAt(await apiAt(url, { tls: trusting(own, client) }));
    expect(message).toMatch(
      /: the client certificate of the kubeconfig "test" has expired \(Feb {2}1 00:00:00 2020 GMT\)$/,
    );
  });
});
