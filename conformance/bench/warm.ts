/**
 * Calls served by one process that has served others before, as an agent serves them: no start is in the figures. It
 * imports the sources, since no program does only this.
 */
import { join } from 'node:path';
import { pluginNames } from '../../bundle/compile.ts';
import { loadPlugin } from '../../bundle/schemas.ts';
import { loaderIn } from '../../lib/cni/delegate.ts';
import type { Outcome } from '../../lib/cni/run.ts';
import { makeServer, type Server, serve } from '../../lib/cni/serve.ts';
import { makeSuite, type Registry } from '../../lib/cni/suite.ts';
import { loadNativeFile } from '../../lib/netns/native.ts';
import { makeNode } from '../../lib/node/node.ts';
import { readMark } from '../../lib/sys/build-id.ts';
import { envOf, type PluginCall } from './program.ts';
import { deleted, multusCall, networkCall, type Subject, type Tools } from './subjects.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const MIB = 1024 * 1024;

/** Where the time of the calls went: how often each part was, and how long in all. */
export type Spans = Map<string, { count: number; ms: number }>;

export interface WarmServer {
  readonly server: Server;
  readonly spans: Spans;
}

export async function warmServer({ ours }: Tools): Promise<WarmServer> {
  const spans: Spans = new Map();
  const observe = (name: string, ms: number): void => {
    const known = spans.get(name) ?? { count: 0, ms: 0 };
    spans.set(name, { count: known.count + 1, ms: known.ms + ms });
  };
  const mark = readMark(join(ours, 'macvlan'));
  return {
    server: makeServer(
      makeNode({
        loadNative: () => loadNativeFile(join(ROOT, `dist/native/linux-${process.arch}.node`)),
        servesMany: true,
        observe,
      }),
      makeSuite(await registry(), mark === undefined ? [] : [mark]),
    ),
    spans,
  };
}

/** As in the bundle, a plugin that is loaded is there at once. */
async function registry(): Promise<Registry> {
  const plugins = await Promise.all(pluginNames().map(async (name) => [name, await loadPlugin(name)] as const));
  return Object.fromEntries(plugins.map(([name, plugin]) => [name, async () => plugin]));
}

/** Pods at once, one call each: until the last is done. */
export const warmPods =
  ({ server }: WarmServer, tools: Tools, pods: number, callFor: (pod: string) => PluginCall): Subject =>
  async () => {
    const calls = tools.lab.newPods(pods).map(callFor);
    const added = await together(server, calls);
    const memory = process.memoryUsage.rss() / MIB;
    const { ms: del } = await together(
      server,
      calls.map((call, index) => deleted(call, added.stdouts[index] ?? '')),
    );
    return { add: added.ms, del, memory };
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

async function together(
  server: Server,
  calls: readonly PluginCall[],
): Promise<{ readonly ms: number; readonly stdouts: readonly string[] }> {
  const begin = performance.now();
  const outcomes = await Promise.all(calls.map((call) => called(server, call)));
  return { ms: performance.now() - begin, stdouts: outcomes.map(({ stdout }) => stdout) };
}

async function called(server: Server, call: PluginCall): Promise<Outcome> {
  const name = call.program.split('/').at(-1) ?? '';
  const plugin = await loaderIn(server.suite.registry, name)?.();
  if (plugin === undefined) {
    throw new Error(`there is no plugin "${name}"`);
  }
  const stdin = Buffer.from(JSON.stringify(call.conf));
  const outcome = await serve(server, plugin, { env: envOf(call), readStdin: () => stdin });
  if (outcome.exitCode !== 0) {
    throw new Error(`${name} ${call.verb} in this process failed: ${outcome.stdout} ${outcome.stderr}`);
  }
  return outcome;
}

/** Longest first. */
export const spansText = (spans: Spans): string =>
  [...spans]
    .sort(([, a], [, b]) => b.ms - a.ms)
    .map(([name, { count, ms }]) => `${name}: ${count} times, ${(ms / count).toFixed(2)} ms each`)
    .join('\n');
