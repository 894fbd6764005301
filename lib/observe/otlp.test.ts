import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { attribute, Exporter, INTERNAL, type Span } from './otlp.ts';
import { collectorIn } from './otlp-settings.ts';
import { posterTo } from './post.ts';
import { readTraceParent } from './trace-parent.ts';

const span = (name: string): Span => ({
  traceId: 'a'.repeat(32),
  spanId: 'b'.repeat(16),
  parentSpanId: 'c'.repeat(16),
  name,
  kind: INTERNAL,
  startTimeUnixNano: '1',
  endTimeUnixNano: '2',
  attributes: [],
  status: {},
});

const spans = (count: number): readonly Span[] => Array.from({ length: count }, (_, index) => span(`s${index}`));

type Answers = (answer: ServerResponse, request: IncomingMessage) => void;

/** A collector that behaves as it is told, request by request; the last behaviour stays. */
class Collector {
  readonly bodies: string[] = [];
  readonly headers: IncomingMessage['headers'][] = [];
  private readonly server: Server;
  private readonly behaviours: Answers[];

  private constructor(behaviours: readonly Answers[]) {
    this.behaviours = [...behaviours];
    this.server = createServer((request, answer) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.once('end', () => {
        this.bodies.push(Buffer.concat(chunks).toString('utf8'));
        this.headers.push(request.headers);
        const next = this.behaviours.length > 1 ? this.behaviours.shift() : this.behaviours[0];
        next?.(answer, request);
      });
    });
  }

  static async open(...behaviours: readonly Answers[]): Promise<Collector> {
    const collector = new Collector(behaviours);
    await new Promise<void>((resolve) => collector.server.listen(0, '127.0.0.1', resolve));
    return collector;
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1/traces`);
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}

const taking: Answers = (answer) => answer.end('{}');
const status =
  (code: number, headers: Readonly<Record<string, string>> = {}): Answers =>
  (answer) =>
    answer.writeHead(code, headers).end();
const silent: Answers = () => undefined;

const open: Collector[] = [];
afterEach(() => {
  for (const collector of open.splice(0)) {
    collector.close();
  }
});

/** An exporter whose pauses take no time. */
async function exporting(behaviours: readonly Answers[], { timeoutMs = 60_000, graceMs = 60_000 } = {}) {
  const collector = await Collector.open(...behaviours);
  open.push(collector);
  const told = { sent: 0, dropped: 0, lines: [] as string[], pauses: [] as number[] };
  const exporter = new Exporter({
    send: posterTo({ url: collector.url, headers: { 'x-token': 't' }, timeoutMs }),
    resource: [attribute('service.name', 'braid-agent')],
    log: (line) => told.lines.push(line),
    onSent: (count) => {
      told.sent += count;
    },
    onDropped: (count) => {
      told.dropped += count;
    },
    graceMs,
    sleep: async (ms) => void told.pauses.push(ms),
  });
  return { collector, exporter, told };
}

describe('Exporter', () => {
  it('posts spans as the protocol has them, with the headers that are wanted', async () => {
    const { collector, exporter, told } = await exporting([taking]);
    exporter.add([span('macvlan ADD')]);
    await exporter[Symbol.asyncDispose]();
    expect(told).toMatchObject({ sent: 1, dropped: 0, lines: [] });
    expect(collector.headers[0]).toMatchObject({ 'content-type': 'application/json', 'x-token': 't' });
    expect(JSON.parse(collector.bodies[0] ?? '')).toEqual({
      resourceSpans: [
        {
          resource: { attributes: [{ key: 'service.name', value: { stringValue: 'braid-agent' } }] },
          scopeSpans: [{ scope: { name: 'braid' }, spans: [span('macvlan ADD')] }],
        },
      ],
    });
  });

  it('repeats what a busy collector has not taken, when it says so', async () => {
    const { collector, exporter, told } = await exporting([status(503, { 'retry-after': '7' }), status(429), taking]);
    exporter.add(spans(3));
    await exporter[Symbol.asyncDispose]();
    expect(told).toMatchObject({ sent: 3, dropped: 0, pauses: [7000, 2000] });
    expect(told.lines).toEqual([
      'cannot export spans: status 503',
      'cannot export spans: status 429',
      'the collector takes spans again',
    ]);
    expect(new Set(collector.bodies).size).toBe(1);
  });

  it.each([
    ['refuses them', [status(400)], 1],
    ['fails', [status(500)], 1],
    ['is always busy', [status(503)], 5],
  ] as const)('drops and counts spans when the collector %s', async (_, behaviours, requests) => {
    const { collector, exporter, told } = await exporting(behaviours);
    exporter.add(spans(2));
    await exporter[Symbol.asyncDispose]();
    expect(told).toMatchObject({ sent: 0, dropped: 2 });
    expect(told.lines).toHaveLength(1);
    expect(collector.bodies).toHaveLength(requests);
  });

  it('drops and counts spans when nobody listens', async () => {
    const { collector, exporter, told } = await exporting([taking]);
    collector.close();
    exporter.add(spans(2));
    await exporter[Symbol.asyncDispose]();
    expect(told).toMatchObject({ sent: 0, dropped: 2 });
    expect(told.lines[0]).toContain('ECONNREFUSED');
  });

  it('counts what the collector takes only in part', async () => {
    const { exporter, told } = await exporting([
      (answer) => answer.end(JSON.stringify({ partialSuccess: { rejectedSpans: '2' } })),
    ]);
    exporter.add(spans(5));
    await exporter[Symbol.asyncDispose]();
    expect(told).toMatchObject({ sent: 3, dropped: 2 });
  });

  it('does not wait for an answer that does not come', async () => {
    const { exporter, told } = await exporting([silent], { timeoutMs: 50 });
    exporter.add(spans(1));
    await exporter[Symbol.asyncDispose]();
    expect(told).toMatchObject({ sent: 0, dropped: 1 });
    expect(told.lines).toEqual(['cannot export spans: no answer in time']);
  });

  it('ends when the collector takes its time', async () => {
    const { exporter, told } = await exporting([silent], { graceMs: 50 });
    exporter.add(spans(1));
    await exporter[Symbol.asyncDispose]();
    expect(told).toMatchObject({ sent: 0, dropped: 1 });
  });

  it('holds so many spans and no more while the collector is slow', async () => {
    const { exporter, told } = await exporting([silent], { graceMs: 50 });
    for (let round = 0; round < 20; round++) {
      exporter.add(spans(1000));
    }
    expect(told.dropped).toBeGreaterThan(10_000);
    expect(told.dropped).toBeLessThan(13_000);
    await exporter[Symbol.asyncDispose]();
    expect(told).toMatchObject({ sent: 0, dropped: 20_000 });
  });

  it('reads an answer without an end only for a while', async () => {
    const { exporter, told } = await exporting([(answer) => answer.end('x'.repeat(1_000_000))]);
    exporter.add(spans(1));
    await exporter[Symbol.asyncDispose]();
    expect(told.lines).toEqual(['cannot export spans: the answer has more than 65536 bytes']);
  });
});

describe('collectorIn', () => {
  const own = { 'service.name': 'braid-agent' };
  it.each([
    [{}, undefined, undefined],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318/' }, undefined, 'http://c:4318/v1/traces'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' }, 'https://d/base', 'https://d/base/v1/traces'],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c/x' }, undefined, 'http://c/x'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }, undefined, undefined],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_SDK_DISABLED: 'true' }, undefined, undefined],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_TRACES_EXPORTER: 'none' }, undefined, undefined],
  ])('finds the collector of %o and --otlp %s', (env, base, url) => {
    expect(collectorIn(env, base, own)?.url.href).toBe(url);
  });

  it('reads headers, resource and timeout', () => {
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c',
      OTEL_EXPORTER_OTLP_HEADERS: 'a=1,b=x%20y,broken',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'a=2',
      OTEL_EXPORTER_OTLP_TIMEOUT: '1500',
      OTEL_RESOURCE_ATTRIBUTES: 'zone=z1',
      OTEL_SERVICE_NAME: 'mine',
    };
    expect(collectorIn(env, undefined, own)).toMatchObject({
      headers: { a: '2', b: 'x y' },
      timeoutMs: 1500,
      resource: [attribute('service.name', 'mine'), attribute('zone', 'z1')],
    });
  });

  it('refuses what is no URL of HTTP', () => {
    expect(() => collectorIn({ OTEL_EXPORTER_OTLP_ENDPOINT: 'c:4318' }, undefined, own)).toThrow(
      'cannot export spans to "c:4318/v1/traces": write "http://HOST:4318"',
    );
  });
});

describe('readTraceParent', () => {
  const [trace, parent] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'];
  it.each([
    [`00-${trace}-${parent}-01`, true],
    [`00-${trace}-${parent}-00`, false],
    [`cc-${trace}-${parent}-03-more`, true],
  ])('reads "%s"', (text, isSampled) => {
    expect(readTraceParent(text)).toEqual({ traceId: trace, spanId: parent, isSampled });
  });
  it.each([
    [undefined],
    [''],
    [`00-${trace}-${parent}-01-more`],
    [`ff-${trace}-${parent}-01`],
    [`00-${'0'.repeat(32)}-${parent}-01`],
    [`00-${trace}-${'0'.repeat(16)}-01`],
    [`00-${trace.toUpperCase()}-${parent}-01`],
  ])('ignores %s', (text) => {
    expect(readTraceParent(text)).toBeUndefined();
  });
});
