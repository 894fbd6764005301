import { loaderIn } from '../cni/delegate.ts';
import { messageOf } from '../cni/errors.ts';
import type { Plugin } from '../cni/plugin.ts';
import type { Invocation, Outcome } from '../cni/run.ts';
import { heard, type Server, sandboxLock, serve } from '../cni/serve.ts';
import type { Node } from '../node/node.ts';
import { observed } from '../node/observer.ts';
import { Places } from '../sys/places.ts';
import { AGENT_NAME } from './ask.ts';
import type { Caller } from './caller.ts';
import { answerBytes, BEGUN, type Request, STOPPING } from './frame.ts';
import { makeChunk, receiveRequest, SEND_MS } from './receive.ts';

/** Requests of more than 64 KiB that are in memory at the same time. */
const LARGE_AT_ONCE = 4;

/** What attends to callers. */
export interface Desk {
  readonly server: Server;
  /** whether a user may call */
  readonly admits: (uid: number) => boolean;
  /** whether calls are no longer begun */
  readonly isClosing: () => boolean;
  readonly log: (line: string) => void;
  /** what the agent says of itself */
  readonly about: string;
  /** where requests are read into first */
  readonly chunk: Buffer;
  readonly large: Places;
}

export const makeDesk = (parts: Omit<Desk, 'chunk' | 'large'>): Desk => ({
  ...parts,
  chunk: makeChunk(),
  large: new Places(LARGE_AT_ONCE),
});

/** Takes one call from a caller, does it and answers. What goes wrong with a caller is logged. */
export async function attend(desk: Desk, caller: Caller): Promise<void> {
  try {
    using _ = caller;
    await serveCaller(desk, caller);
  } catch (error) {
    if (!caller.gone.signal.aborted) {
      desk.log(`cannot serve a caller: ${messageOf(error)}`);
    }
  }
}

async function serveCaller(desk: Desk, caller: Caller): Promise<void> {
  const { uid } = caller;
  if (!desk.admits(uid)) {
    desk.log(`cannot serve a caller: user ${uid} may not call`);
    return;
  }
  using received = await receiveRequest(caller, desk.chunk, desk.large);
  if (received === undefined) {
    return;
  }
  if (received.request.name === AGENT_NAME) {
    await caller.write(Buffer.concat([BEGUN, answerBytes({ stdout: desk.about, stderr: '', exitCode: 0 })]));
    return;
  }
  const load = loaderIn(desk.server.suite.registry, received.request.name);
  if (load === undefined || desk.isClosing()) {
    await caller.write(STOPPING); // the program beside the launcher does it
    return;
  }
  await caller.write(BEGUN);
  caller.limit(undefined);
  caller.watchEnd();
  const { request } = received;
  const outcome = await heard(desk.server, request, () => runRequest(desk.server, load, request, caller));
  caller.limit(SEND_MS);
  await caller.write(answerBytes(outcome));
}

async function runRequest(
  server: Server,
  load: NonNullable<Server['suite']['registry'][string]>,
  { env, stdin }: Request,
  caller: Caller,
): Promise<Outcome> {
  const node = nodeSeenBy(server.node, env['CNI_NETNS'] ?? '', caller.descriptor);
  return serveInOrder({ ...server, node }, load, { env, readStdin: () => stdin }, caller.gone.signal);
}

/**
 * Serves a call: those for one sandbox in order, those for different ones at the same time.
 *
 * @param signal fires when the caller has gone
 * @throws as `serve`
 */
export async function serveInOrder(
  server: Server,
  load: () => Promise<Plugin>,
  { env, readStdin }: Invocation,
  signal: AbortSignal,
): Promise<Outcome> {
  const container = isAboutPod(env['CNI_COMMAND']) ? (env['CNI_CONTAINERID'] ?? '') : '';
  using _ = container === '' ? undefined : await turnOf(server.node, container, signal);
  const own = { ...env, BRAID_AGENT: 'none' }; // a delegate's launcher must not wait for the place that its caller has
  return await serve(server, await load(), { env: own, readStdin }, signal);
}

const turnOf = ({ locks, observe }: Node, container: string, signal: AbortSignal): Promise<Disposable> =>
  observed(observe, 'wait for the sandbox', () => locks.acquire(sandboxLock(container), signal));

const isAboutPod = (verb: string | undefined): boolean => ['ADD', 'DEL', 'CHECK'].includes(verb ?? '');

/** The node as a caller sees it: CNI_NETNS leads to what the caller has opened, whatever is mounted here. */
function nodeSeenBy(node: Node, path: string, descriptor: number): Node {
  if (descriptor < 0 || path === '') {
    return node;
  }
  const openNetns: Node['openNetns'] = (wanted) => node.openNetns(wanted, wanted === path ? descriptor : undefined);
  return Object.create(node, { openNetns: { value: openNetns } }) as Node;
}
