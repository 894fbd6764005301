import { afterEach, describe, expect, it } from 'vitest';
import type { Access } from './access.ts';
import { ApiError, type KubeApi } from './api.ts';
import { type ClientOptions, openClient } from './client.ts';
import { CONFIG_MAPS, configMap } from './testing/objects.ts';
import { type Behave, type FakeServer, refuse, reply, serve } from './testing/server.ts';

const closing: (Disposable | AsyncDisposable)[] = [];
afterEach(async () => {
  for (const one of closing.splice(0).reverse()) {
    await (Symbol.asyncDispose in one ? one[Symbol.asyncDispose]() : one[Symbol.dispose]());
  }
});

const accessTo = (server: string, token?: string): Access => ({
  server,
  namespace: undefined,
  tls: { ca: undefined, certificate: undefined, key: undefined, serverName: undefined, isUnverified: false },
  token,
  origin: 'kubeconfig "test"',
});

interface Started {
  readonly server: FakeServer;
  readonly api: KubeApi;
}

async function start(
  behave: Behave,
  options: Partial<ClientOptions> = {},
  signal?: AbortSignal,
  tokens: string[] = [],
): Promise<Started> {
  const server = await serve(behave);
  closing.push(server);
  const readAccess = async (): Promise<Access> => accessTo(server.url, tokens.length > 1 ? tokens.shift() : tokens[0]);
  const client = await openClient(readAccess, { namespace: 'kube-system', ...options });
  closing.push(client);
  return { server, api: client.api(signal) };
}

const object = (name: string) => ({ kind: 'ConfigMap', metadata: { name } });

async function errorOf(promise: Promise<unknown>): Promise<ApiError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ApiError);
  return error as ApiError;
}

describe('a client of an API server', () => {
  it('tells how long each request took, also one that fails', async () => {
    const told: string[] = [];
    const observe = (name: string): unknown => told.push(name);
    const { api } = await start((_, answer) => reply(answer, 200, object('a')), { observe });
    await api.get(configMap('a'));
    await api.create(CONFIG_MAPS, object('a'));
    const refusing = await start((_, answer) => refuse(answer, 403, 'Forbidden', 'no'), { observe });
    await errorOf(refusing.api.list(CONFIG_MAPS));
    expect(told).toEqual(['API GET', 'API POST', 'API GET']);
  });

  it('sends each verb as the API wants it', async () => {
    const { server, api } = await start((_, answer) => reply(answer, 200, object('a')), {}, undefined, ['secret']);
    await api.get({ ...configMap('a/b'), subresource: 'status' });
    await api.create(CONFIG_MAPS, object('a'));
    await api.patch(configMap('a'), { type: 'json', body: [{ op: 'test', path: '/data', value: null }] });
    await api.patch(configMap('a'), { type: 'merge', body: { data: null } });
    await api.patch(configMap('a'), { type: 'apply', body: object('a'), fieldManager: 'me', force: true });
    await api.replace({ ...configMap('a'), subresource: 'status' }, object('a'));
    await api.delete(configMap('a'), { uid: 'u', resourceVersion: '7' });
    const root = '/api/v1/namespaces/default/configmaps';
    expect(
      server.received.map(({ method, url, headers, body }) => [method, url, headers['content-type'], body]),
    ).toEqual([
      ['GET', `${root}/a%2Fb/status`, undefined, ''],
      ['POST', root, 'application/json', '{"kind":"ConfigMap","metadata":{"name":"a"}}'],
      ['PATCH', `${root}/a`, 'application/json-patch+json', '[{"op":"test","path":"/data","value":null}]'],
      ['PATCH', `${root}/a`, 'application/merge-patch+json', '{"data":null}'],
      [
        'PATCH',
        `${root}/a?fieldManager=me&force=true`,
        'application/apply-patch+yaml',
        '{"kind":"ConfigMap","metadata":{"name":"a"}}',
      ],
      ['PUT', `${root}/a/status`, 'application/json', '{"kind":"ConfigMap","metadata":{"name":"a"}}'],
      [
        'DELETE',
        `${root}/a`,
        'application/json',
        '{"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"uid":"u","resourceVersion":"7"}}',
      ],
    ]);
    expect(new Set(server.received.map(({ headers }) => headers.authorization))).toEqual(new Set(['Bearer secret']));
    expect(new Set(server.received.map(({ headers }) => headers['user-agent']))).toEqual(new Set(['braid']));
  });

  it('asks for as little of a patched object as the caller wants', async () => {
    const { server, api } = await start((_, answer) => reply(answer, 200, object('a')));
    await api.patch(configMap('a'), { type: 'merge', body: {} });
    await api.patch(configMap('a'), { type: 'merge', body: {}, isAnswerBrief: true });
    expect(server.received.map(({ headers }) => headers['accept'])).toEqual([
      'application/json',
      'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json',
    ]);
  });

  it('keeps the path of the server, and the namespace of the context', async () => {
    const server = await serve((_, answer) => reply(answer, 200, object('a')));
    closing.push(server);
    const access = { ...accessTo(`${server.url}/k8s/clusters/c-1`), namespace: 'mine' };
    const client = await openClient(async () => access, { namespace: 'kube-system' });
    closing.push(client);
    await client.api().get(configMap('a'));
    expect(server.received[0]?.url).toBe('/k8s/clusters/c-1/api/v1/namespaces/default/configmaps/a');
    expect(client.api().namespace).toBe('mine');
    expect((await start(() => undefined)).api.namespace).toBe('kube-system');
  });

  it('never asks for an object without a name', async () => {
    const { server, api } = await start((_, answer) => reply(answer, 200, object('a')));
    for (const name of ['', '.', '..']) {
      expect((await errorOf(api.delete(configMap(name)))).message).toContain('is no name');
    }
    expect(server.received).toEqual([]);
  });

  it('uses a connection again, and no more than it may', async () => {
    const { server, api } = await start((_, answer) => reply(answer, 200, object('a')), { connections: 2 });
    await Promise.all(Array.from({ length: 40 }, () => api.get(configMap('a'))));
    await api.get(configMap('a'));
    expect(server.received).toHaveLength(41);
    expect(server.connections()).toBe(2);
  });

  it('asks again when a connection that was idle is lost, but never writes again', async () => {
    let last: Parameters<Behave>[0]['socket'] | undefined;
    const { server, api } = await start(
      ({ socket }, answer) => {
        if (last === socket) {
          socket.destroy();
        } else {
          reply(answer, 200, object('a'));
        }
        last = socket;
      },
      { connections: 1 },
    );
    await api.get(configMap('a'));
    await api.get(configMap('a'));
    expect(server.received).toHaveLength(3);
    const error = await errorOf(api.patch(configMap('a'), { type: 'merge', body: {} }));
    expect(error).toMatchObject({ status: undefined, isOutcomeUnknown: true });
    expect(error.message).toMatch(
      /^cannot patch configmaps "a" in "default": "http:.*" has closed the connection before its answer was complete$/,
    );
    expect(server.received).toHaveLength(4);
  });

  it('follows the pages of a list', async () => {
    const { server, api } = await start(({ url }, answer) => {
      const page = new URL(url, 'http://x').searchParams.get('continue') ?? '0';
      const next = page === '2' ? '' : String(Number(page) + 1);
      reply(answer, 200, { kind: 'List', items: [object(page)], metadata: { continue: next } });
    });
    expect(await api.list(CONFIG_MAPS, { labelSelector: 'a=b' })).toEqual(['0', '1', '2'].map(object));
    expect(server.received[1]?.url).toBe(
      '/api/v1/namespaces/default/configmaps?limit=500&labelSelector=a%3Db&continue=1',
    );
  });

  it('reads a list from the beginning when its pages have expired, and gives up in the end', async () => {
    let expiring = 1;
    const { server, api } = await start(({ url }, answer) => {
      if (!url.includes('continue')) {
        reply(answer, 200, { kind: 'List', items: [object('a')], metadata: { continue: 'x' } });
      } else if (expiring-- > 0) {
        refuse(answer, 410, 'Expired', 'too old');
      } else {
        reply(answer, 200, { kind: 'List', items: [object('b')], metadata: {} });
      }
    });
    expect(await api.list(CONFIG_MAPS)).toEqual(['a', 'b'].map(object));
    expiring = 100;
    expect(await errorOf(api.list(CONFIG_MAPS))).toMatchObject({ status: 410, reason: 'Expired' });
    expect(server.received).toHaveLength(4 + 6);
  });
});

describe('an error of an API server', () => {
  it('has the status, the reason and the words of the server', async () => {
    const { api } = await start((_, answer) => refuse(answer, 409, 'AlreadyExists', 'configmaps "a" already exists'));
    const error = await errorOf(api.create(CONFIG_MAPS, object('a')));
    expect(error).toMatchObject({ status: 409, reason: 'AlreadyExists', isOutcomeUnknown: false });
    expect(error.message).toBe(
      'cannot create configmaps "a" in "default": configmaps "a" already exists (409 AlreadyExists)',
    );
  });

  it.each([500, 502, 503, 504])('leaves it open after %i whether a write was carried out', async (status) => {
    const { api } = await start((_, answer) => refuse(answer, status, 'Timeout', 'request did not complete'));
    expect((await errorOf(api.patch(configMap('a'), { type: 'merge', body: {} }))).isOutcomeUnknown).toBe(true);
    expect((await errorOf(api.get(configMap('a')))).isOutcomeUnknown).toBe(false);
  });

  it('says when the kind of objects is unknown', async () => {
    const { api } = await start((_, answer) => {
      answer.writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' });
      answer.end('404 page not found\n');
    });
    const error = await errorOf(api.get(configMap('a')));
    expect(error).toMatchObject({ status: 404, reason: '' });
    expect(error.message).toBe(
      'cannot get configmaps "a" in "default": the API server does not know this kind of objects: is its CRD installed (404)',
    );
  });

  it.each([
    [200, 'text/html', '<html>welcome</html>', true],
    [200, 'application/json', '{"hello":"world"}', true],
    [200, 'application/json', '{"kind":"ConfigMap"', true],
    [302, 'text/html', '', false],
    [404, 'text/html', '<html>not here</html>', false],
    [400, 'text/plain', 'bad request', false],
  ])('says that %i with %s %s is not from an API server', async (status, type, body, isUnknown) => {
    const { api } = await start((_, answer) => {
      answer.writeHead(status, { 'Content-Type': type });
      answer.end(body);
    });
    const error = await errorOf(api.create(CONFIG_MAPS, object('a')));
    expect(error).toMatchObject({ status, reason: '', isOutcomeUnknown: isUnknown });
    expect(error.message).toContain(`the answer is not that of an API server: ${status} with ${type}`);
  });
});

describe('a server that asks to wait', () => {
  it('gets the request again afterwards', async () => {
    let busy = 1;
    const { server, api } = await start((_, answer) =>
      busy-- > 0
        ? refuse(answer, 429, 'TooManyRequests', 'later', { 'Retry-After': '1' })
        : reply(answer, 200, object('a')),
    );
    await api.create(CONFIG_MAPS, object('a'));
    expect(server.received).toHaveLength(2);
  });

  it('gets it not at once when it asks for no time at all', async () => {
    const { server, api } = await start(
      (_, answer) => refuse(answer, 429, 'TooManyRequests', 'later', { 'Retry-After': '0' }),
      { timeoutMs: 300 },
    );
    expect(await errorOf(api.get(configMap('a')))).toMatchObject({ status: 429 });
    expect(server.received.length).toBeLessThanOrEqual(6);
  });

  it('gets none when the wait would be longer than the time is', async () => {
    const { server, api } = await start((_, answer) =>
      refuse(answer, 429, 'TooManyRequests', 'later', { 'Retry-After': '60' }),
    );
    expect(await errorOf(api.create(CONFIG_MAPS, object('a')))).toMatchObject({
      status: 429,
      isOutcomeUnknown: false,
      retryAfterMs: 60_000,
    });
    expect(server.received).toHaveLength(1);
  });

  it('gets no write again that it may have carried out', async () => {
    const { server, api } = await start((_, answer) =>
      refuse(answer, 500, 'ServerTimeout', 'etcd has a new leader', { 'Retry-After': '0' }),
    );
    expect(await errorOf(api.create(CONFIG_MAPS, object('a')))).toMatchObject({ status: 500, isOutcomeUnknown: true });
    expect(server.received).toHaveLength(1);
  });
});

describe('a token that is no longer accepted', () => {
  const guard: Behave = ({ headers }, answer) =>
    headers.authorization === 'Bearer new'
      ? reply(answer, 200, object('a'))
      : refuse(answer, 401, 'Unauthorized', 'Unauthorized');

  it('is read again, once for all requests under way', async () => {
    const { server, api } = await start(guard, {}, undefined, ['old', 'new', 'newer']);
    await Promise.all(Array.from({ length: 4 }, () => api.get(configMap('a'))));
    await api.get(configMap('a'));
    expect(server.received.filter(({ headers }) => headers.authorization === 'Bearer old')).toHaveLength(4);
    expect(server.received.filter(({ headers }) => headers.authorization === 'Bearer newer')).toHaveLength(0);
  });

  it('is an error when it is still the same, which does not show it', async () => {
    const { server, api } = await start(guard, {}, undefined, ['old']);
    const error = await errorOf(api.get(configMap('a')));
    expect(error).toMatchObject({ status: 401, reason: 'Unauthorized' });
    expect(error.message).toBe(
      'cannot get configmaps "a" in "default": Unauthorized (401 Unauthorized): the token of the kubeconfig "test" is not accepted, or has expired',
    );
    expect(server.received).toHaveLength(1);
  });

  it('is an error when the new one is not accepted either', async () => {
    const { server, api } = await start(guard, {}, undefined, ['old', 'older', 'new']);
    expect(await errorOf(api.get(configMap('a')))).toMatchObject({ status: 401 });
    expect(server.received).toHaveLength(2);
  });
});
