import type { Env } from '../lib/sys/execute.ts';

/** start.c maps "A" to "Z" and "_" to these. */
const FIRST_HIDDEN = 0x01;
const LAST_HIDDEN = 0x1f;
/** the bit that it clears */
const LETTER = 0x40;

/** The runtime's environment: restores the first letter of names that start.c hid from Node. */
export function restoreNames(env: NodeJS.ProcessEnv): Env {
  const names = Object.keys(env);
  return Object.fromEntries(names.map((name) => [nameOf(name), env[name] ?? '']));
}

function nameOf(name: string): string {
  const first = name.charCodeAt(0);
  return first >= FIRST_HIDDEN && first <= LAST_HIDDEN ? String.fromCharCode(first | LETTER) + name.slice(1) : name;
}
