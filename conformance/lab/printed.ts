/** What a plugin has printed. */
import type { Outcome } from './execute.ts';

/** The error object that a plugin must print when it fails. */
export function errorOf({ stdout }: Outcome): {
  readonly code: number;
  readonly message: string;
  readonly details?: string;
} {
  const value = parsed(stdout) as { code?: unknown; msg?: unknown; details?: string };
  if (typeof value?.code !== 'number' || typeof value.msg !== 'string') {
    throw new Error(`not an error object: ${JSON.stringify(stdout)}`);
  }
  return { code: value.code, message: value.msg, ...(value.details === undefined ? {} : { details: value.details }) };
}

/** A document; undefined for what is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
