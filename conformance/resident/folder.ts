/** A plugin folder of its own on the node of a lab, which `braid install` fills. */
import { join } from 'node:path';
import { expect } from 'vitest';
import { BASE_ENV, type Outcome } from '../lab/execute.ts';
import type { Lab } from '../lab/lab.ts';
import { OURS, type Side, STANDALONE } from '../lab/programs.ts';

export const FORMS = ['standalone', 'script', 'resident'] as const;
export type Form = (typeof FORMS)[number];

export class Folder {
  readonly bin: string;
  readonly side: Side;
  private readonly lab: Lab;

  constructor(lab: Lab) {
    this.lab = lab;
    this.bin = lab.folder('bin');
    this.side = { ...OURS, bin: this.bin, path: [this.bin, ...OURS.path.slice(1)] };
  }

  braid(words: string, program = join(STANDALONE, 'braid')): Promise<Outcome> {
    return this.lab.execute([program, ...words.split(' ')], { env: BASE_ENV, cwd: this.lab.dir });
  }

  async install(form: Form, more = ''): Promise<Outcome> {
    const outcome = await this.braid(`install --bin ${this.bin} --form ${form} ${more}`.trim());
    expect(outcome, outcome.stderr).toMatchObject({ exitCode: 0, stderr: '' });
    return outcome;
  }

  uninstall(): Promise<Outcome> {
    const { lab } = this;
    const folders = ['cache', 'net.d'].map((name) => lab.folder(name));
    return this.braid(`uninstall --bin ${this.bin} --cache-dir ${folders[0]} --conf-dir ${folders[1]}`);
  }
}
