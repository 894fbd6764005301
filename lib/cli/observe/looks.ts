import { fstatSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { type Journal, LEVELS, type Level, makeJournal } from '../../agent/observe/journal.ts';
import type { Looks } from '../../agent/observe/observe-server.ts';
import { messageOf } from '../../cni/errors.ts';
import { type HealthAddress, parseAddress } from '../../observe/health.ts';
import { type Collector, collectorIn } from '../../observe/otlp-settings.ts';
import { WrongUsage } from '../options.ts';
import { AGENT_SOCKET, type Program, STATUS_SOCKET_NAME } from '../program.ts';

const STDERR = 2;
const NONE = 'none';
const SERVICE = 'braid-agent';

/** Options of `braid agent` for those who look at it. */
export const LOOK_OPTIONS = {
  status: { type: 'string' },
  metrics: { type: 'string', default: NONE },
  otlp: { type: 'string' },
  'log-level': { type: 'string', default: 'info' },
} as const;

interface LookValues {
  readonly socket?: string | undefined;
  readonly status?: string | undefined;
  readonly metrics: string;
  readonly otlp?: string | undefined;
  readonly 'log-level': string;
}

/** @throws WrongUsage */
export function looksIn(values: LookValues, program: Program): { readonly looks: Looks; readonly version: string } {
  const status = values.status ?? join(dirname(values.socket ?? AGENT_SOCKET), STATUS_SOCKET_NAME);
  const looks = {
    status: status === NONE ? undefined : status,
    metrics: addressIn(values.metrics),
    collector: values.otlp === NONE ? undefined : collectorFor(program, values.otlp),
  };
  return { looks, version: program.version };
}

/** @throws WrongUsage */
export const journalOf = (values: LookValues, { env }: Program, write: (line: string) => void): Journal =>
  makeJournal({ level: levelIn(values['log-level']), isJournald: isJournal(env['JOURNAL_STREAM']), write });

function collectorFor({ env, version }: Program, base: string | undefined): Collector | undefined {
  const own = { 'service.name': SERVICE, 'service.version': version, 'host.name': hostname() };
  try {
    return collectorIn(env, base, own);
  } catch (error) {
    throw new WrongUsage(messageOf(error), { cause: error });
  }
}

/** systemd.exec(5): the device and inode of the stream, which a child may have replaced. */
function isJournal(stream: string | undefined): boolean {
  const { dev, ino } = fstatSync(STDERR);
  return stream === `${dev}:${ino}`;
}

function levelIn(text: string): Level {
  const level = LEVELS.find((one) => one === text);
  if (level === undefined) {
    throw new WrongUsage(`unknown level "${text}": the levels are ${LEVELS.join(', ')}`);
  }
  return level;
}

function addressIn(text: string): HealthAddress | undefined {
  const address = text === NONE ? undefined : parseAddress(text);
  if (address === undefined && text !== NONE) {
    throw new WrongUsage(`"${text}" is not an address to listen at: write "127.0.0.1:9090"`);
  }
  return address;
}
