import type { Env } from '../lib/sys/execute.ts';

/** What start.c makes of "A" to "Z" and "_". */
const FIRST_HIDDEN = 0x01;
const LAST_HIDDEN = 0x1f;
/** The bit that it takes away. */
const LETTER = 0x40;

/** The environment as the runtime gave it: names that start.c hid from Node begin with their letter again. */
export function revealed(env: NodeJS.ProcessEnv): Env {
  const names = Object.keys(env);
  return Object.fromEntries(names.map((name) => [nameOf(name), env[name] ?? '']));
}

function nameOf(name: string): string {
  const first = name.charCodeAt(0);
  return first >= FIRST_HIDDEN && first <= LAST_HIDDEN ? String.fromCharCode(first | LETTER) + name.slice(1) : name;
}
