/** A clock that jumps for one program: see clock.c. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Env, mustRun } from '../lab/execute.ts';

export class Clock {
  /** of the program's environment */
  readonly env: Env;
  private readonly file: string;
  private isThere = false;

  private constructor(folder: string) {
    this.file = join(folder, 'clock');
    this.env = { LD_PRELOAD: join(folder, 'clock.so'), CLOCK_FILE: this.file };
    this.set(0);
  }

  /** @param folder where the library is built */
  static async in(folder: string): Promise<Clock> {
    const clock = new Clock(folder);
    const source = join(import.meta.dirname, 'clock.c');
    await mustRun(['cc', '-Wall', '-Werror', '-shared', '-fPIC', '-O1', '-o', `${clock.env['LD_PRELOAD']}`, source]);
    return clock;
  }

  /** Seconds by which it is wrong from now on. */
  set(seconds: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(seconds));
    writeFileSync(this.file, bytes, { flag: this.isThere ? 'r+' : 'w' }); // in its place: it is mapped
    this.isThere = true;
  }
}
