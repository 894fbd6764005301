import { messageOf } from '../../cni/errors.ts';
import { makeServer, type Server } from '../../cni/serve.ts';
import type { Suite } from '../../cni/suite.ts';
import type { Native } from '../../netns/native.ts';
import { makeNode } from '../../node/node.ts';
import type { HealthAddress } from '../../observe/health.ts';
import type { Metrics } from '../../observe/metrics.ts';
import { Exporter } from '../../observe/otlp.ts';
import type { Collector } from '../../observe/otlp-settings.ts';
import { posterTo } from '../../observe/post.ts';
import { boundOldGeneration } from '../heap.ts';
import type { Journal } from './journal.ts';
import { type Observation, observeCalls } from './observation.ts';
import type { CallRecord } from './record.ts';
import { spansOf } from './spans.ts';
import { measureQueue, type StatusParts, StatusServer, serveMetrics } from './status.ts';

/** Where an agent can be looked at. */
export interface Looks {
  /** a socket for root */
  readonly status: string | undefined;
  readonly metrics: HealthAddress | undefined;
  /** takes the spans of traces */
  readonly collector: Collector | undefined;
}

export interface ObservedParts {
  readonly native: Native;
  readonly suite: Suite;
  readonly version: string;
  readonly looks: Looks;
  readonly journal: Journal;
  /** fires when no more calls are begun */
  readonly signal: AbortSignal;
}

/** A server of calls, and what tells about it. */
export interface ObservedServer extends AsyncDisposable {
  readonly server: Server;
  /** what else is to be counted; undefined: nobody looks */
  readonly metrics: Metrics | undefined;
  /** Lets people look; what cannot be opened is logged, and calls are served all the same. */
  readonly open: () => Promise<void>;
}

export function observeServer({ native, suite, version, looks, journal, signal }: ObservedParts): ObservedServer {
  const stack = new AsyncDisposableStack();
  const isWatched = Object.values(looks).some((look) => look !== undefined) || journal.has('warn');
  const observation = isWatched ? observeCalls() : undefined;
  observation?.onEnd((call) => logCall(journal, call));
  if (observation !== undefined && looks.collector !== undefined) {
    exportSpans(observation, looks.collector, journal, stack);
  }
  const node = makeNode({
    loadNative: () => native,
    servesMany: true,
    ...(observation && { observe: observation.observer }),
  });
  const server = { ...makeServer(node, suite, boundOldGeneration()), hear: observation?.call };
  const open = async (): Promise<void> => {
    if (observation !== undefined) {
      const parts = { observation, server, version, isEnding: () => signal.aborted };
      observation.onBusy(measureQueue(parts));
      await openLooks(native, looks, parts, journal, stack);
    }
  };
  return { server, metrics: observation?.metrics, open, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function openLooks(
  native: Native,
  { status, metrics }: Looks,
  parts: StatusParts,
  journal: Journal,
  stack: AsyncDisposableStack,
): Promise<void> {
  const attempt = async (where: string, work: () => Promise<AsyncDisposable>): Promise<void> => {
    try {
      stack.use(await work());
    } catch (error) {
      journal.line('warn', `cannot serve ${where}: ${messageOf(error)}`);
    }
  };
  if (status !== undefined) {
    const log = (line: string): void => journal.line(line.startsWith('cannot ') ? 'warn' : 'info', line);
    await attempt('status', () => StatusServer.start(native, status, parts, log));
  }
  if (metrics !== undefined) {
    await attempt('metrics', async () => {
      const server = await serveMetrics(metrics, parts);
      journal.line('info', `serves /metrics, /healthz and /readyz on port ${server.port}`);
      return server;
    });
  }
}

function exportSpans(
  { metrics, onEnd }: Observation,
  collector: Collector,
  journal: Journal,
  stack: AsyncDisposableStack,
): void {
  const sent = metrics.counter('braid_spans_exported_total', 'Spans that the collector has taken.');
  const dropped = metrics.counter('braid_spans_dropped_total', 'Spans that it has not taken, or not in time.');
  const exporter = new Exporter({
    send: posterTo(collector),
    resource: collector.resource,
    log: (line) => journal.line('warn', line),
    onSent: (spans) => sent.add(spans),
    onDropped: (spans) => dropped.add(spans),
  });
  stack.use(exporter);
  onEnd((call, env) => {
    const spans = spansOf(call, env);
    if (spans.length > 0) {
      exporter.add(spans);
    }
  });
}

/** One line for each call. */
function logCall(journal: Journal, { facts, code, ms, names, dropped }: CallRecord): void {
  journal.line(code === 0 ? 'info' : 'warn', 'call', {
    ...facts,
    code,
    ms: Math.round(ms * 1000) / 1000,
    parts: names.length + dropped,
  });
}
