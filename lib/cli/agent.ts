import { readlinkSync } from 'node:fs';
import { runAgent } from '../agent/agent.ts';
import { serveInOrder } from '../agent/attend.ts';
import { type Listener, listenAt, passedListener } from '../agent/listener.ts';
import { observeServer } from '../agent/observe/observe-server.ts';
import { standBy } from '../agent/stand-by.ts';
import { makeScope, type Scope } from '../cni/scope.ts';
import { heard, type Server } from '../cni/serve.ts';
import type { AgentService, OpenService, ServiceHost } from '../cni/service.ts';
import { COLLECTOR_OPTIONS, collectorOf } from './collector.ts';
import { DEVICE_OPTIONS, devicePartOf } from './device-part.ts';
import { journalOf, LOOK_OPTIONS, looksIn } from './observe/looks.ts';
import { readOptions, WrongUsage } from './options.ts';
import { AGENT_SOCKET, type Program } from './program.ts';

const ROOT = 0;

/** `braid agent` */
export async function agent(
  program: Program,
  known: readonly AgentService[],
  args: readonly string[],
  scope: Scope,
): Promise<number> {
  const { values } = readOptions(args, {
    ...COLLECTOR_OPTIONS,
    socket: { type: 'string' },
    ...LOOK_OPTIONS,
    ...DEVICE_OPTIONS,
    idle: { type: 'string' },
    'stand-by': { type: 'boolean', default: false },
    ...Object.fromEntries(
      known.flatMap(({ options }) =>
        options.map(({ name, value }) => [name, { type: value === undefined ? 'boolean' : 'string' }] as const),
      ),
    ),
  });
  const collect = collectorOf(values, program.env);
  const devicePart = devicePartOf(values, program);
  const idleS = values.idle === undefined ? undefined : wholeSeconds(values.idle);
  const { native } = scope.node;
  const journal = journalOf(values, program, scope.log);
  const log = (line: string): void => journal.line(line.startsWith('cannot ') ? 'warn' : 'info', line);
  const passed =
    values.socket === undefined ? passedListener(program.env, Number(readlinkSync('/proc/self'))) : undefined;
  const socket = values.socket ?? AGENT_SOCKET;
  const listen = (): Listener => passed ?? listenAt(native, socket);
  const signal = program.stopSignal();
  await using seen = observeServer({ native, suite: scope.suite, signal, journal, ...looksIn(values, program) });
  const { server } = seen;
  await seen.open();
  const services = await openServices(known, server, {
    env: program.env,
    options: values,
    scope: makeScope({ node: server.node, suite: scope.suite, log }),
    isClosing: () => signal.aborted,
  });
  const over = new AbortController();
  const collector = collect(makeScope({ ...server, log, signal: AbortSignal.any([signal, over.signal]) }));
  const deviceLog = (line: string): void => journal.line(/\bcannot\b|refuses/.test(line) ? 'warn' : 'info', line);
  const willBeStarted = passed !== undefined || idleS !== undefined;
  await runAgent({
    native,
    server,
    listen,
    services,
    admits: (uid) => uid === ROOT,
    signal,
    about: JSON.stringify({ version: program.version, build: program.id }),
    idleMs: idleS === undefined ? undefined : idleS * 1000,
    beside:
      devicePart &&
      ((over, succession) => {
        const around = makeScope({ ...server, log: deviceLog, signal: over });
        return devicePart({ scope: around, metrics: seen.metrics, succession });
      }),
    isReplaced: willBeStarted && program.form === 'standalone' ? isOwnFileGone : undefined,
    log,
  });
  over.abort(new Error('the agent has ended'));
  await collector;
  if (values['stand-by'] && !signal.aborted) {
    await seen[Symbol.asyncDispose]();
    log('stands by');
    await standBy(socket, signal);
  }
  return 0;
}

/** What the options ask for of all that plugins can serve. */
async function openServices(
  known: readonly AgentService[],
  server: Server,
  parts: Omit<ServiceHost, 'run'>,
): Promise<readonly OpenService[]> {
  const run: ServiceHost['run'] = async (plugin, invocation, gone) => {
    const called = { name: plugin.name, env: invocation.env };
    const outcome = await heard(server, called, () => serveInOrder(server, async () => plugin, invocation, gone));
    for (const line of outcome.stderr.split('\n').filter((text) => text !== '')) {
      parts.scope.log(line); // who calls has no place for it
    }
    return outcome;
  };
  const opened = await Promise.all(known.map((service) => service.open({ ...parts, run })));
  return opened.filter((service) => service !== undefined);
}

/** Another file has its path, or none: the next call starts what is there. */
function isOwnFileGone(): boolean {
  return readlinkSync('/proc/self/exe').endsWith(' (deleted)');
}

function wholeSeconds(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) {
    throw new WrongUsage(`cannot use --idle "${text}": it is a number of seconds`);
  }
  return Number(text);
}
