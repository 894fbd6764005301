/** Which programs are tested, and how one is called. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { installPeers } from '../peers/peers.ts';
import { BASE_ENV, type Env } from './execute.ts';

export const ROOT = join(import.meta.dirname, '../..');

/** What the build made; BRAID_DIST for another place. */
export const DIST = process.env['BRAID_DIST'] ?? join(ROOT, 'dist');
export const STANDALONE = join(DIST, 'standalone');
export const SCRIPT = join(DIST, 'script');

/** Whose programs: ours or those of Go. */
export interface Side {
  readonly name: 'ours' | 'go';
  /** where the plugin is */
  readonly bin: string;
  /** CNI_PATH */
  readonly path: readonly string[];
}

const peers = installPeers();

export const OURS: Side = { name: 'ours', bin: STANDALONE, path: [STANDALONE, peers] };
/** Ours, a process for each call in either form: for what an agent, which keeps files open, would prevent. */
export const PROCESSES: Side = { ...OURS };
export const GO: Side = { name: 'go', bin: peers, path: [peers] };

/** The plugins of this build. */
export const PLUGINS: readonly string[] = builtPlugins();

export const VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type Version = (typeof VERSIONS)[number];

/** Results before 0.3.0 have no interfaces and need an address. */
export const isOldest = (version: string): boolean => ['', '0.1.0', '0.2.0'].includes(version);

export type Verb = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';

/** One call of a plugin as the contract describes it. */
export interface Call {
  readonly verb: string;
  readonly plugin: string;
  /** an object is sent as JSON, a text or bytes as they are */
  readonly conf: unknown;
  /** CNI_NETNS */
  readonly netns?: string;
  readonly containerId?: string;
  readonly ifName?: string;
  /** CNI_ARGS */
  readonly args?: string;
  /** CNI_PATH instead of the side's */
  readonly path?: readonly string[];
  /** a folder that the program sees as /sys */
  readonly sysfs?: string;
  /** more variables; undefined takes one away */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export function envOf(side: Side, call: Call): Env {
  const all: Readonly<Record<string, string | undefined>> = {
    ...BASE_ENV,
    CNI_COMMAND: call.verb,
    CNI_CONTAINERID: call.containerId ?? 'c1',
    CNI_NETNS: call.netns,
    CNI_IFNAME: call.ifName ?? 'net1',
    CNI_ARGS: call.args,
    CNI_PATH: (call.path ?? side.path).join(':'),
    ...call.env,
  };
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

export const stdinOf = (conf: unknown): string | Buffer =>
  typeof conf === 'string' || Buffer.isBuffer(conf) ? conf : JSON.stringify(conf);

function builtPlugins(): readonly string[] {
  if (!existsSync(STANDALONE)) {
    throw new Error(`there is no ${STANDALONE}: run "npm run build" first`);
  }
  return readdirSync(STANDALONE).filter((name) => name !== 'braid');
}
