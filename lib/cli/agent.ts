import { readlinkSync } from 'node:fs';
import { runAgent } from '../agent/agent.ts';
import { type Listener, listenAt, passedListener } from '../agent/listener.ts';
import type { Scope } from '../cni/scope.ts';
import { makeServer } from '../cni/serve.ts';
import { makeNode } from '../node/node.ts';
import { readOptions } from './options.ts';
import { AGENT_SOCKET, type Program } from './program.ts';

const ROOT = 0;

/** `braid agent` */
export async function agent(program: Program, args: readonly string[], scope: Scope): Promise<number> {
  const { values } = readOptions(args, { socket: { type: 'string' } });
  const { native } = scope.node;
  const log = (line: string): void => scope.log(`agent: ${line}`);
  const passed =
    values.socket === undefined ? passedListener(program.env, Number(readlinkSync('/proc/self'))) : undefined;
  const listen = (): Listener => passed ?? listenAt(native, values.socket ?? AGENT_SOCKET);
  const signal = program.stopSignal();
  await runAgent({
    native,
    server: makeServer(makeNode({ loadNative: () => native, servesMany: true }), scope.suite),
    listen,
    admits: (uid) => uid === ROOT,
    signal,
    log,
  });
  return 0;
}
