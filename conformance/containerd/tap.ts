/** Puts itself between the runtime and a plugin: writes down what passes, and kills when it is told to. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Site } from './site.ts';

export interface RecordedCall {
  /** the variables of the contract */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: unknown;
}

export class Tap {
  private readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** From now on the runtime calls a script, which calls the plugin. */
  static into(site: Site, plugin: string): Tap {
    const folder = site.lab.folder(`tap-${plugin}`);
    const real = join(folder, plugin);
    mkdirSync(join(folder, 'calls'));
    renameSync(join(site.bin, plugin), real);
    placeScript(join(site.bin, plugin), [
      `call=$(mktemp '${folder}/calls/'"$(date +%s%N)".XXXX)`,
      `cat >"$call.stdin"`,
      `env -0 | grep -z ^CNI_ >"$call" || true`,
      `if [[ -e '${folder}/kill-'$CNI_COMMAND ]]; then`,
      `  exec timeout --signal=KILL "$(<'${folder}/kill-'$CNI_COMMAND)" '${real}' <"$call.stdin"`,
      'fi',
      `exec '${real}' <"$call.stdin"`,
    ]);
    return new Tap(folder);
  }

  /** Calls of a verb are killed when they have run so long; undefined: no more. */
  kill(verb: string, afterMs: number | undefined): void {
    const path = join(this.folder, `kill-${verb}`);
    if (afterMs === undefined) {
      rmSync(path, { force: true });
    } else {
      writeFileSync(path, `${afterMs / 1000}`);
    }
  }

  /** In the order in which they came. */
  calls(): readonly RecordedCall[] {
    const folder = join(this.folder, 'calls');
    const names = readdirSync(folder).filter((name) => !name.endsWith('.stdin'));
    return names.sort().map((name) => ({
      env: Object.fromEntries(
        readFileSync(join(folder, name), 'utf8')
          .split('\0')
          .filter((line) => line !== '')
          .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)])
          .toSorted(),
      ),
      stdin: JSON.parse(readFileSync(join(folder, `${name}.stdin`), 'utf8')),
    }));
  }

  /** `ADD`, `DEL`, … */
  verbs(): readonly string[] {
    return this.calls().map(({ env }) => env['CNI_COMMAND'] ?? '');
  }
}

/** A program of bash, in its place whole. */
export function placeScript(path: string, lines: readonly string[]): void {
  const part = `${path}.part`;
  writeFileSync(part, ['#!/usr/bin/env bash', 'set -euo pipefail', ...lines, ''].join('\n'));
  chmodSync(part, 0o755);
  renameSync(part, path);
}
