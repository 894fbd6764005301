import * as z from 'zod/mini';

/**
 * Parses a JSON text by a schema.
 *
 * @throws Error naming the first invalid key
 */
export const parseForm = <T>(schema: z.ZodMiniType<T>, text: string): T =>
  readForm(schema, JSON.parse(text) as unknown);

/** The same for a parsed value. */
export function readForm<T>(schema: z.ZodMiniType<T>, value: unknown): T {
  const outcome = z.safeParse(schema, value);
  if (outcome.success) {
    return outcome.data;
  }
  const [issue] = outcome.error.issues;
  const key = issue?.path.map(String).join('.') ?? '';
  throw new Error(key === '' ? 'it is not an object of the expected form' : `its "${key}" is invalid`);
}
