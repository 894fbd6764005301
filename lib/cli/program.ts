import type { Env } from '../sys/execute.ts';

export type Form = 'standalone' | 'script';

/** The running program. */
export interface Program {
  readonly version: string;
  /** of the build: each of its files ends with its mark */
  readonly id: string;
  readonly form: Form;
  /** its own file */
  readonly file: string;
  /** the folder of that file and what was shipped with it */
  readonly folder: string;
  /** for executed plugins */
  readonly env: Env;
  /** For a command that runs until it is told to end: fires with the first SIGTERM or SIGINT, and a second one kills. */
  stopSignal(): AbortSignal;
}

/** Default folders on a node. */
export const BIN_FOLDER = '/opt/cni/bin';
export const CONF_FOLDER = '/etc/cni/net.d';
/** libcni's cache: runtimes record attachments in `results` below it */
export const CACHE_FOLDER = '/var/lib/cni';

/** where launchers call the agent, which the build tells them */
export const AGENT_SOCKET = '/run/braid/agent.sock';

/** Name of the Lease that the leading controller of a cluster holds. */
export const CONTROLLER_LEASE = 'braid-controller';
