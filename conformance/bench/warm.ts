/**
 * Calls served by one process that has served others before, as an agent serves them: no start is in the figures.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { bundle } from '../../bundle/compile.ts';
import { YOUNG } from '../../bundle/compiling.ts';
import { labName, scratchOf } from './lab.ts';
import { envOf, type PluginCall } from './program.ts';
import { deleted, multusCall, networkCall, type Subject, type Tools } from './subjects.ts';
import type { Answers, Asked, Done, WarmCall } from './warm-server.ts';

const MIB = 1024 * 1024;

/** A process that serves calls. It starts no others: after each, its memory would be copied page by page. */
export interface WarmServer {
  serve(calls: readonly PluginCall[]): Promise<Answers['calls']>;
  /** Begins to watch how late its event loop is; the function that it returns ends that. */
  watchLoop(): Promise<() => Promise<Answers['loop']>>;
  /** where the time of its calls went, longest first */
  spansText(): Promise<string>;
  close(): Promise<void>;
}

export async function warmServer({ ours }: Tools): Promise<WarmServer> {
  const server = await startServer(ours);
  const ask = async <W extends Asked['what']>(asked: Asked & { readonly what: W }): Promise<Answers[W]> => {
    const message = once(server, 'message') as Promise<[Done]>;
    server.send(asked);
    const [done] = await message;
    if ('failure' in done) {
      throw new Error(done.failure);
    }
    return done.answer as Answers[W];
  };
  return {
    serve: (calls) => ask({ what: 'calls', calls: calls.map(warmCall) }),
    watchLoop: async () => {
      await ask({ what: 'watch the loop' });
      return () => ask({ what: 'loop' });
    },
    spansText: async () => spansText(await ask({ what: 'spans' })),
    close: async () => {
      const ended = once(server, 'exit');
      server.disconnect();
      await ended;
    },
  };
}

const warmCall = (call: PluginCall): WarmCall => ({
  name: basename(call.program),
  env: envOf(call),
  stdin: JSON.stringify(call.conf),
});

/** Bundled as the agent is: what reads TypeScript would take 60 MiB more. */
async function startServer(ours: string): Promise<ReturnType<typeof fork>> {
  const form = { isScript: false, isCallsOnly: false, target: 'node26', nativeBytes: "''", launcherBytes: "''" };
  const program = join(scratchOf(labName() ?? ''), 'warm-server.cjs');
  writeFileSync(program, await bundle(form, '0', 'conformance/bench/warm-server.ts'));
  return fork(program, [join(ours, 'macvlan'), join(ours, `../native/linux-${process.arch}.node`)], {
    execArgv: [...YOUNG],
  });
}

/** Pods at once, one call each: until the last is done. */
export const warmPods =
  (server: WarmServer, tools: Tools, pods: number, callFor: (pod: string) => PluginCall): Subject =>
  async () => {
    const calls = tools.lab.newPods(pods).map(callFor);
    const added = await server.serve(calls);
    const gone = await server.serve(calls.map((call, index) => deleted(call, added.stdouts[index] ?? '')));
    return { add: added.ms, del: gone.ms, memory: added.rss / MIB };
  };

/** One network by itself, as a runtime calls for it. */
export const oneNetwork =
  (tools: Tools) =>
  (pod: string): PluginCall =>
    networkCall('ours', tools, 0, pod);

/** Networks through multus. */
export const manyNetworks =
  (tools: Tools, networks: number) =>
  (pod: string): PluginCall =>
    multusCall('ours', tools, networks, pod);

const spansText = (spans: Answers['spans']): string =>
  spans
    .toSorted(([, a], [, b]) => b.ms - a.ms)
    .map(([name, { count, ms }]) => `${name}: ${count} times, ${(ms / count).toFixed(2)} ms each`)
    .join('\n');
