import { afterEach, describe, expect, it } from 'vitest';
import type { Access } from './access.ts';
import { ApiError, type KubeObject } from './api.ts';
import { CONFIG_MAPS } from './testing/objects.ts';
import { type Behave, type FakeServer, refuse, reply, serve } from './testing/server.ts';
import { openWatchClient, type WatchApi } from './watch.ts';

const closing: (Disposable | AsyncDisposable)[] = [];
afterEach(async () => {
  for (const one of closing.splice(0).reverse()) {
    await (Symbol.asyncDispose in one ? one[Symbol.asyncDispose]() : one[Symbol.dispose]());
  }
});

const accessTo = (server: string): Access => ({
  server,
  namespace: undefined,
  tls: { ca: undefined, certificate: undefined, key: undefined, serverName: undefined, isUnverified: false },
  token: undefined,
  origin: 'kubeconfig "test"',
});

async function start(behave: Behave, signal?: AbortSignal): Promise<{ server: FakeServer; api: WatchApi }> {
  const server = await serve(behave);
  const client = await openWatchClient(async () => accessTo(server.url), { namespace: 'kube-system', timeoutMs: 300 });
  closing.push(server, client);
  return { server, api: client.api(signal) };
}

const object = (name: string) => ({ kind: 'ConfigMap', metadata: { name, resourceVersion: '7' } });
const event = (type: string, of: object): string => `${JSON.stringify({ type, object: of })}\n`;

const since = { version: '5', seconds: 60 };

function watching(api: WatchApi, seen: string[] = []): Promise<void> {
  return api.watch<KubeObject>(CONFIG_MAPS, {}, since, (one) => seen.push(`${one.type} ${one.object.metadata.name}`));
}

const errorOf = (promise: Promise<unknown>): Promise<ApiError> =>
  promise.then(
    () => {
      throw new Error('nothing was thrown');
    },
    (error: unknown) => error as ApiError,
  );

describe('each', () => {
  it('visits page after page, metadata alone, and tells the version of the list', async () => {
    const { server, api } = await start(({ url }, answer) =>
      reply(answer, 200, {
        kind: 'PartialObjectMetadataList',
        metadata: { resourceVersion: '42', continue: url.includes('continue=') ? '' : 'next' },
        items: [object(url.includes('continue=') ? 'b' : 'a')],
      }),
    );
    const names: string[] = [];
    const selection = { isMetadataOnly: true, pageSize: 1, fieldSelector: 'spec.nodeName=n' };
    expect(await api.each(CONFIG_MAPS, selection, ({ metadata }) => names.push(metadata.name))).toBe('42');
    expect(names).toEqual(['a', 'b']);
    expect(server.received.map(({ headers }) => headers.accept)).toEqual(
      Array(2).fill('application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1'),
    );
    expect(server.received[1]?.url).toMatch(/limit=1&fieldSelector=spec.nodeName%3Dn&continue=next/);
  });
});

describe('watch', () => {
  it('gives events as they come, however they are cut, and ends when the server ends it', async () => {
    const text = Buffer.from(
      event('ADDED', object('ä')) + event('DELETED', object('b')) + event('BOOKMARK', object('')),
    );
    const { server, api } = await start((_, answer) => {
      answer.writeHead(200, { 'Content-Type': 'application/json' });
      let at = 0;
      const next = (): void => {
        answer.write(text.subarray(at, at + 7), () => setImmediate(at < text.length ? next : () => answer.end()));
        at += 7;
      };
      next();
    });
    const seen: string[] = [];
    await watching(api, seen);
    expect(seen).toEqual(['ADDED ä', 'DELETED b', 'BOOKMARK ']);
    expect(server.received[0]?.url).toMatch(/watch=1&allowWatchBookmarks=true&resourceVersion=5&timeoutSeconds=60/);
  });

  it('may last longer than a request, and does not keep others waiting', async () => {
    const { api } = await start(({ url }, answer) => {
      if (url.includes('watch=1')) {
        answer.writeHead(200, { 'Content-Type': 'application/json' });
        answer.flushHeaders();
        setTimeout(() => answer.end(event('ADDED', object('late'))), 500);
      } else {
        reply(answer, 200, { ...object('other') });
      }
    });
    const seen: string[] = [];
    const watch = watching(api, seen);
    expect((await api.get({ ...CONFIG_MAPS, name: 'other' })).metadata.name).toBe('other');
    await watch;
    expect(seen).toEqual(['ADDED late']);
  });

  it('says that the version is too old, as an answer and as an event', async () => {
    const refused = await start((_, answer) => refuse(answer, 410, 'Expired', 'too old resource version'));
    expect(await errorOf(watching(refused.api))).toMatchObject({ status: 410 });
    const told = await start((_, answer) => {
      answer.writeHead(200, { 'Content-Type': 'application/json' });
      answer.write(event('ERROR', { kind: 'Status', code: 410, message: 'too old' }));
    });
    const seen: string[] = [];
    const error = await errorOf(watching(told.api, seen));
    expect([error.status, error.message, seen]).toEqual([410, 'cannot watch configmaps in "default": too old', []]);
  });

  it.each([
    ['a cut connection', '', 'has closed the connection|has reset'],
    ['what is no JSON', 'hello\n', 'not that of an API server'],
    ['what is no event', '{}\n', 'not that of an API server'],
  ])('fails after %s, with what came before', async (_, garbage, why) => {
    const { api } = await start((_request, answer) => {
      answer.writeHead(200, { 'Content-Type': 'application/json' });
      answer.write(event('ADDED', object('a')) + garbage, () => setTimeout(() => answer.destroy(), 50));
    });
    const seen: string[] = [];
    const error = await errorOf(watching(api, seen));
    expect(error).toBeInstanceOf(ApiError);
    expect(error.status).toBeUndefined();
    expect(error.message).toMatch(new RegExp(why));
    expect(seen).toEqual(['ADDED a']);
  });

  it('ends with its signal, and when nobody answers', async () => {
    const ending = new AbortController();
    const { api } = await start((_, answer) => {
      answer.writeHead(200);
      answer.flushHeaders();
      ending.abort(new Error('enough'));
    }, ending.signal);
    await expect(watching(api)).rejects.toThrow('enough');
    const silent = await start(() => undefined);
    expect((await errorOf(watching(silent.api))).message).toContain('has not answered within');
  });
});
