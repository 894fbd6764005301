/** The process that `warm.ts` asks to serve calls: what an agent does, without its socket. */

import { registry } from 'braid:registry';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { boundOldGeneration } from '../../lib/agent/heap.ts';
import { loaderIn } from '../../lib/cni/delegate.ts';
import { messageOf } from '../../lib/cni/errors.ts';
import { makeServer, serve } from '../../lib/cni/serve.ts';
import { makeSuite } from '../../lib/cni/suite.ts';
import { loadNativeFile } from '../../lib/netns/native.ts';
import { makeNode } from '../../lib/node/node.ts';
import { readMark } from '../../lib/sys/build-id.ts';

export type Asked =
  | { readonly what: 'calls'; readonly calls: readonly WarmCall[] }
  | { readonly what: 'spans' | 'watch the loop' | 'loop' };

export interface WarmCall {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

/** What answers it. */
export interface Answers {
  readonly calls: { readonly ms: number; readonly stdouts: readonly string[]; readonly rss: number };
  readonly spans: readonly (readonly [string, Span])[];
  readonly 'watch the loop': null;
  /** how late the event loop was since it is watched, in milliseconds */
  readonly loop: { readonly p99: number; readonly longest: number };
}

export type Done = { readonly answer: Answers[keyof Answers] } | { readonly failure: string };

/** How often a part of calls was, and how long in all. */
export interface Span {
  readonly count: number;
  readonly ms: number;
}

const RESOLUTION_MS = 5;
const NANOSECONDS_PER_MS = 1e6;

const [program = '', native = ''] = process.argv.slice(2);
const spans = new Map<string, Span>();
const mark = readMark(program);
const server = makeServer(
  makeNode({
    loadNative: () => loadNativeFile(native),
    servesMany: true,
    observe: (name, ms) => {
      const known = spans.get(name) ?? { count: 0, ms: 0 };
      spans.set(name, { count: known.count + 1, ms: known.ms + ms });
    },
  }),
  makeSuite(registry, mark === undefined ? [] : [mark]),
  boundOldGeneration(),
);

const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
const late = (nanoseconds: number): number => nanoseconds / NANOSECONDS_PER_MS - RESOLUTION_MS;

process.on('message', async (asked: Asked) => {
  const done: Done = await answerTo(asked).then(
    (answer) => ({ answer }),
    (error: unknown) => ({ failure: messageOf(error) }),
  );
  process.send?.(done);
});

async function answerTo(asked: Asked): Promise<Answers[keyof Answers]> {
  switch (asked.what) {
    case 'calls': {
      const begin = performance.now();
      const stdouts = await Promise.all(asked.calls.map(served));
      return { ms: performance.now() - begin, stdouts, rss: process.memoryUsage.rss() };
    }
    case 'spans':
      return [...spans];
    case 'watch the loop':
      delay.reset();
      delay.enable();
      return null;
    case 'loop':
      await sleep(RESOLUTION_MS);
      delay.disable();
      return { p99: late(delay.percentile(99)), longest: late(delay.max) };
  }
}

async function served({ name, env, stdin }: WarmCall): Promise<string> {
  const plugin = await loaderIn(server.suite.registry, name)?.();
  if (plugin === undefined) {
    throw new Error(`there is no plugin "${name}"`);
  }
  const bytes = Buffer.from(stdin);
  const outcome = await serve(server, plugin, { env, readStdin: () => bytes });
  if (outcome.exitCode !== 0) {
    throw new Error(`${name} ${env['CNI_COMMAND']} in this process failed: ${outcome.stdout} ${outcome.stderr}`);
  }
  return outcome.stdout;
}
