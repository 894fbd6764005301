import type { Env } from '../sys/execute.ts';

export type Form = 'standalone' | 'script';

/** The program that runs, as the entry knows it. */
export interface Program {
  readonly version: string;
  /** of the build: every file of it ends with its mark */
  readonly id: string;
  readonly form: Form;
  /** its own file, to be read */
  readonly file: string;
  /** where that file is, and what was shipped with it */
  readonly folder: string;
  /** for plugins that are executed */
  readonly env: Env;
}

/** Where things are on a node unless a command is told otherwise. */
export const BIN_FOLDER = '/opt/cni/bin';
export const CONF_FOLDER = '/etc/cni/net.d';
/** libcni's cache: runtimes record attachments in `results` below it */
export const CACHE_FOLDER = '/var/lib/cni';
