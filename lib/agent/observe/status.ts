import { messageOf } from '../../cni/errors.ts';
import type { Server } from '../../cni/serve.ts';
import type { Native } from '../../netns/native.ts';
import { type Answer, type HealthAddress, type HealthServer, serveHealth } from '../../observe/health.ts';
import type { Gauge, Metrics } from '../../observe/metrics.ts';
import { LoopDelay, measureProcess, ownUse } from '../../observe/own-process.ts';
import { type Listener, LOOK_MS, listenAt } from '../listener.ts';
import { BOUNDS, type Observation } from './observation.ts';
import type { CallRecord } from './record.ts';

/** What `braid top` reads. */
export interface Status {
  /** milliseconds since 1970 */
  readonly now: number;
  readonly version: string;
  readonly running: number;
  readonly waiting: number;
  readonly memory: number;
  /** processor time */
  readonly cpuSeconds: number;
  /** upper bounds of buckets, in seconds */
  readonly bounds: readonly number[];
  readonly calls: readonly Timed[];
  readonly steps: readonly Timed[];
}

/** Times of what has these labels. */
export interface Timed {
  readonly labels: Readonly<Record<string, string>>;
  readonly counts: readonly number[];
  /** seconds */
  readonly sum: number;
}

/** Sets of labels; a node has some ten pools. */
const MOST_HOLDINGS = 1000;

const JSON_TYPE = 'application/json';

export interface StatusParts {
  readonly observation: Observation;
  readonly server: Server;
  readonly version: string;
  readonly isEnding: () => boolean;
}

/** Calls by what is done about them. */
export function measureQueue({ observation, server }: Pick<StatusParts, 'observation' | 'server'>): LoopDelay {
  const { metrics } = observation;
  const running = metrics.gauge('braid_calls_running', 'Calls that a plugin is at work for.');
  const waiting = metrics.gauge('braid_calls_waiting', 'Calls that wait for their sandbox or for a place.');
  metrics.onRead(() => {
    const now = queueOf(observation, server);
    running.set(now.running);
    waiting.set(now.waiting);
  });
  measureHoldings(metrics, server);
  measureProcess(metrics);
  return new LoopDelay(metrics);
}

/** What plugins keep between calls: caches, pools of addresses. */
function measureHoldings(metrics: Metrics, { node }: Server): void {
  const gauges = new Set<Gauge>();
  metrics.onRead(() => {
    for (const gauge of gauges) {
      gauge.clear();
    }
    for (const { name, help, type, labels, value } of (node.holdings?.() ?? []).slice(0, MOST_HOLDINGS)) {
      const metric = type === 'gauge' ? metrics.gauge(name, help) : metrics.counter(name, help);
      metric.set(value, labels);
      if ('clear' in metric) {
        gauges.add(metric);
      }
    }
  });
}

function queueOf({ underWay }: Observation, server: Server): Pick<Status, 'running' | 'waiting'> {
  const taken = server.places.taken + server.deletions.taken + server.questions.taken;
  const running = Math.min(taken, underWay);
  return { running, waiting: underWay - running };
}

/** Serves status, traces and metrics at a path, for root alone, also when the socket there is deleted. */
export class StatusServer implements AsyncDisposable {
  private readonly open: () => Promise<OpenStatus>;
  private readonly log: (line: string) => void;
  private readonly timer: NodeJS.Timeout;
  private now: OpenStatus;
  private looking: Promise<void> = Promise.resolve();
  private failure = '';

  private constructor(open: StatusServer['open'], now: OpenStatus, log: StatusServer['log']) {
    this.open = open;
    this.now = now;
    this.log = log;
    this.timer = setInterval(() => {
      this.looking = this.looking.then(() => this.look());
    }, LOOK_MS);
  }

  /** @throws what `listenAt` throws */
  static async start(
    native: Native,
    path: string,
    parts: StatusParts,
    log: (line: string) => void,
  ): Promise<StatusServer> {
    const open = async (): Promise<OpenStatus> => {
      const listener = listenAt(native, path);
      const health = { ...healthOf(parts), other: (url: URL) => answerTo(url, parts) };
      return { listener, server: await serveHealth({ fd: listener.fd }, health) };
    };
    return new StatusServer(open, await open(), log);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.timer);
    await this.looking;
    this.now.listener.withdraw();
    await this.now.server[Symbol.asyncDispose]();
  }

  /** Another agent may have the path by now: then it is that one's. */
  private async look(): Promise<void> {
    if (this.now.listener.whereabouts() !== 'gone') {
      return;
    }
    try {
      const { server } = this.now;
      this.now = await this.open();
      this.failure = '';
      this.log('serves status again: the socket was deleted');
      await server[Symbol.asyncDispose]();
    } catch (error) {
      const failure = messageOf(error);
      if (failure !== this.failure) {
        this.failure = failure;
        this.log(`cannot serve status again: ${failure}`);
      }
    }
  }
}

/** The server owns the listener's descriptor. */
interface OpenStatus {
  readonly listener: Listener;
  readonly server: HealthServer;
}

/** Serves metrics and health alone: pods have names that are nobody's business. */
export const serveMetrics = (address: HealthAddress, parts: StatusParts): Promise<HealthServer> =>
  serveHealth(address, healthOf(parts));

const healthOf = ({ observation, isEnding }: StatusParts) => ({
  standing: () => (isEnding() ? undefined : 'takes calls'),
  metrics: observation.metrics,
});

function answerTo(url: URL, parts: StatusParts): Answer | undefined {
  switch (url.pathname) {
    case '/status':
      return json(statusOf(parts));
    case '/calls':
      return json(parts.observation.ring.find(url.searchParams.get('of') ?? '').map(toldOf));
    default:
      return undefined;
  }
}

const json = (value: unknown): Answer => ({ status: 200, text: `${JSON.stringify(value)}\n`, type: JSON_TYPE });

function statusOf({ observation, server, version }: StatusParts): Status {
  const { bytes, seconds } = ownUse();
  return {
    now: Date.now(),
    version,
    ...queueOf(observation, server),
    memory: bytes,
    cpuSeconds: seconds,
    bounds: BOUNDS,
    ...observation.totals(),
  };
}

/** A call as `braid trace` reads it. */
export type ToldCall = Pick<
  CallRecord,
  'facts' | 'begun' | 'ms' | 'code' | 'dropped' | 'names' | 'parents' | 'starts' | 'lengths'
>;

const toldOf = ({ facts, begun, ms, code, dropped, names, parents, starts, lengths }: CallRecord): ToldCall => ({
  facts,
  begun,
  ms,
  code,
  dropped,
  names,
  parents,
  starts,
  lengths,
});
