import type { Env } from '../sys/execute.ts';
import type { Scope } from './scope.ts';

/** A command for people: `braid ipam import …`. */
export interface Command {
  /** `ipam import` */
  readonly name: string;
  /** the whole line: `braid ipam import <folder> …` */
  readonly usage: string;
  /** one line */
  readonly about: string;
  /** more lines for `--help`: the options */
  readonly options?: readonly (readonly [option: string, about: string])[];
  /**
   * @param env of the program; absent: nothing is set
   * @returns the exit code: 0 done, 1 failed, 2 wrong usage
   */
  run(args: readonly string[], scope: Scope, print: (line: string) => void, env?: Env): Promise<number>;
}
