import { describe, expect, it } from 'vitest';
import { ApiError, type KubeApi } from '../kube/api.ts';
import type { WatchClient } from '../kube/watch.ts';
import { parseAddress, serveHealth } from '../observe/health.ts';
import { makeMetrics } from '../observe/metrics.ts';
import { runController } from './controller.ts';
import { eventRecorder } from './events.ts';
import type { ControllerPart } from './part.ts';

describe('makeMetrics', () => {
  it('writes what Prometheus reads', () => {
    const metrics = makeMetrics();
    metrics.counter('a_total', 'Some.').add(2, { kind: 'x"\\\n' });
    metrics.counter('a_total', 'Some.').add(1, { kind: 'x"\\\n' });
    const gauge = metrics.gauge('b', 'Other.');
    gauge.set(5, { pool: 'gone' });
    gauge.clear();
    gauge.set(1.5);
    const histogram = metrics.histogram('c_seconds', 'Times.', [1, 5]);
    for (const value of [0.5, 3, 9]) {
      histogram.observe(value, { part: 'p' });
    }
    expect(metrics.text()).toBe(`# HELP a_total Some.
# TYPE a_total counter
a_total{kind="x\\"\\\\\\n"} 3
# HELP b Other.
# TYPE b gauge
b 1.5
# HELP c_seconds Times.
# TYPE c_seconds histogram
c_seconds_bucket{part="p",le="1"} 1
c_seconds_bucket{part="p",le="5"} 2
c_seconds_bucket{part="p",le="+Inf"} 3
c_seconds_sum{part="p"} 12.5
c_seconds_count{part="p"} 3
`);
  });
});

describe('parseAddress', () => {
  it.each([
    [':8080', { host: undefined, port: 8080 }],
    ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
    ['[::1]:80', { host: '::1', port: 80 }],
    ['8080', undefined],
    [':99999', undefined],
    ['', undefined],
  ])('reads "%s"', (text, expected) => {
    expect(parseAddress(text)).toEqual(expected);
  });
});

describe('serveHealth', () => {
  it('says whether it leads, once it knows', async () => {
    let standing: 'leader' | 'standby' | undefined;
    await using server = await serveHealth(
      { host: '127.0.0.1', port: 0 },
      { standing: () => standing, metrics: makeMetrics() },
    );
    const get = async (path: string) => {
      const answer = await fetch(`http://127.0.0.1:${server.port}${path}`);
      return [answer.status, await answer.text()];
    };
    expect(await get('/readyz')).toEqual([503, 'starting\n']);
    standing = 'standby';
    expect(await get('/readyz')).toEqual([200, 'standby\n']);
    standing = 'leader';
    expect(await get('/readyz?verbose')).toEqual([200, 'leader\n']);
    expect(await get('/healthz')).toEqual([200, 'ok\n']);
    expect((await get('/metrics'))[0]).toBe(200);
    expect((await get('/'))[0]).toBe(404);
  });
});

describe('eventRecorder', () => {
  const event = {
    type: 'Normal',
    reason: 'Freed',
    message: 'freed',
    regarding: { apiVersion: 'v1', kind: 'Pod', namespace: 'lab', name: 'a' },
    component: 'c',
  } as const;

  it('tells the same once, tells again what failed, and never throws', async () => {
    const made: unknown[] = [];
    const lines: string[] = [];
    let isDown = true;
    const create = async (path: unknown, object: unknown) => {
      if (isDown) {
        throw new ApiError('no', {});
      }
      made.push([path, object]);
    };
    const recorder = eventRecorder({ create } as unknown as KubeApi, 'me', (line) => lines.push(line));
    await recorder.record(event);
    isDown = false;
    await recorder.record(event);
    await recorder.record(event);
    expect(lines).toEqual(['cannot tell of "Freed": no']);
    expect(made).toEqual([
      [
        { resource: { group: '', version: 'v1', plural: 'events' }, namespace: 'lab' },
        expect.objectContaining({
          type: 'Normal',
          reason: 'Freed',
          involvedObject: event.regarding,
          source: { component: 'c' },
          metadata: { name: expect.stringMatching(/^a\.[0-9a-f]+$/), namespace: 'lab' },
        }),
      ],
    ]);
  });
});

describe('runController', () => {
  it('runs its parts while it leads, runs one again that failed, and gives the lease back at its end', async () => {
    let holder = '';
    const api = {
      namespace: 'ns',
      get: async () => ({ metadata: { name: 'l', resourceVersion: '1' }, spec: { holderIdentity: holder } }),
      patch: async (
        _: unknown,
        { body }: { body: readonly { path: string; value: { holderIdentity?: string } }[] },
      ) => {
        const spec = body.find(({ path }) => path === '/spec')?.value;
        const member = body.findLast(({ path }) => path === '/spec/holderIdentity')?.value;
        holder = spec?.holderIdentity ?? String(member);
      },
    };
    const client = { api: () => api, [Symbol.dispose]: () => undefined } as unknown as WatchClient;
    const stopping = new AbortController();
    let runs = 0;
    const failing: ControllerPart = {
      name: 'failing',
      about: '',
      run: async ({ signal }) => {
        runs++;
        if (runs === 1) {
          throw new Error('boom');
        }
        stopping.abort(new Error('ended by SIGTERM'));
        signal.throwIfAborted();
      },
    };
    const lines: string[] = [];
    await runController({
      client,
      parts: [failing],
      options: {},
      lease: 'l',
      identity: 'me',
      address: undefined,
      signal: stopping.signal,
      log: (line) => lines.push(line),
    });
    expect([runs, holder]).toEqual([2, '']);
    expect(lines).toEqual([
      'leads: "me" holds lease "l"',
      expect.stringMatching(/^failing: failed: boom; next try in [12] s$/),
    ]);
  });
});
