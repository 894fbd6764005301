/** File operations of a program that fail as a disk or a file system would: see faults.c. */
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { type Env, mustRun, type Outcome } from './execute.ts';
import { ROOT } from './programs.ts';

export type ErrorName = keyof typeof constants.errno;

export interface Faults {
  /** name of the program */
  readonly of: string;
  /** files below this folder */
  readonly below: string;
  /** of all effects from this one on, counted from one */
  readonly from?: number;
  readonly error?: ErrorName;
  /** only that one fails */
  readonly isOnce?: boolean;
  /** of locks */
  readonly lockError?: ErrorName;
  /** of shared mappings */
  readonly mapError?: ErrorName;
}

/**
 * @param folder where the library is built, unless it is there
 * @returns variables of the program's environment
 */
export async function faulty(
  folder: string,
  { of, below, from, error, isOnce, lockError, mapError }: Faults,
): Promise<Env> {
  const library = join(folder, 'faults.so');
  if (!existsSync(library)) {
    const source = join(ROOT, 'conformance/lab/faults.c');
    await mustRun(['cc', '-Wall', '-Werror', '-shared', '-fPIC', '-O1', '-o', library, source]);
  }
  const number = (name: ErrorName | undefined): string => String(name === undefined ? 0 : constants.errno[name]);
  return {
    LD_PRELOAD: library,
    FAULTS_OF: of,
    FAULTS_IN: below,
    FAIL_FROM: String(from ?? 0),
    FAIL_ERROR: number(error),
    FAIL_ONCE: isOnce ? '1' : '0',
    LOCK_ERROR: number(lockError),
    MAP_ERROR: number(mapError),
  };
}

/** How many effects a call had. */
export const effectsOf = ({ stderr }: Outcome): number => stderr.match(/^effect \d+$/gm)?.length ?? 0;
