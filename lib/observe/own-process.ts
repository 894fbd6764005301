import { readdirSync, readFileSync } from 'node:fs';
import { getHeapStatistics } from 'node:v8';
import type { Histogram, Metrics } from './metrics.ts';

/** What the kernel tells about the process, under the names that every client library of Prometheus has. */
export function measureProcess(metrics: Metrics): void {
  const memory = metrics.gauge('process_resident_memory_bytes', 'Resident memory.');
  const cpu = metrics.counter('process_cpu_seconds_total', 'Processor time.');
  const files = metrics.gauge('process_open_fds', 'Open descriptors.');
  const heap = metrics.gauge('nodejs_heap_size_used_bytes', 'JavaScript objects.');
  metrics.onRead(() => {
    const { bytes, seconds } = ownUse();
    memory.set(bytes);
    cpu.set(seconds);
    files.set(readdirSync('/proc/self/fd').length - 1); // without the one that reads
    heap.set(getHeapStatistics().used_heap_size);
  });
}

/** Of all architectures that Node runs on. */
const TICKS_PER_SECOND = 100;
const KIB = 1024;

/** Resident memory and processor time. */
export function ownUse(): { readonly bytes: number; readonly seconds: number } {
  const [, resident = '0'] = /^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // from the third on: proc_pid_stat(5)
  return {
    bytes: Number(resident) * KIB,
    seconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
  };
}

const LOOK_MS = 20;
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** Measures how late the event loop is, while it is told to: a process without work is not woken. */
export class LoopDelay {
  private readonly histogram: Histogram;
  private timer: NodeJS.Timeout | undefined;
  private due = 0;

  constructor(metrics: Metrics) {
    this.histogram = metrics.histogram(
      'braid_event_loop_delay_seconds',
      'How late the event loop was, looked at each 20 ms while calls are under way.',
      BOUNDS,
    );
  }

  start(): void {
    if (this.timer === undefined) {
      this.due = performance.now() + LOOK_MS;
      this.timer = setInterval(this.look, LOOK_MS);
      this.timer.unref();
    }
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private readonly look = (): void => {
    const now = performance.now();
    this.histogram.observe(Math.max(0, now - this.due) / 1000);
    this.due = now + LOOK_MS;
  };
}
