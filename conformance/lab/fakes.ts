/** Plugins of a few lines of shell, for what real ones do not do on demand. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from './lab.ts';

/** Puts a program into the lab's folder `fake`, which goes in front of CNI_PATH. */
export function fake(lab: Lab, name: string, script: string, { mode = 0o755 } = {}): string {
  const folder = lab.folder('fake');
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, mode);
  return folder;
}

/** What an IPAM plugin answers ADD with. */
export const answer = (result: unknown): string =>
  `[ "$CNI_COMMAND" = ADD ] && cat <<'END' || true\n${JSON.stringify(result)}\nEND`;

/** Writes every call into the lab's file `calls`: verb, variables of the contract, stdin. */
export const RECORD = `{ echo "== $CNI_COMMAND"; env | grep ^CNI_ | sort; cat; echo; } >> "$PWD/calls"`;

/** What RECORD has written, one entry a call. */
export function recorded(lab: Lab): readonly string[] {
  const file = join(lab.dir, 'calls');
  return existsSync(file) ? readFileSync(file, 'utf8').split('== ').slice(1) : [];
}

/** `ADD`, `DEL`, … in the order of the calls. */
export const recordedVerbs = (lab: Lab): readonly string[] =>
  recorded(lab).map((call) => call.slice(0, call.indexOf('\n')));
