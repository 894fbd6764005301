import * as z from 'zod/mini';

/**
 * Reads a JSON text that has the form of a schema.
 *
 * @throws Error that names the first key that is wrong
 */
export const parseForm = <T>(schema: z.ZodMiniType<T>, text: string): T =>
  readForm(schema, JSON.parse(text) as unknown);

/** The same of a value that was parsed. */
export function readForm<T>(schema: z.ZodMiniType<T>, value: unknown): T {
  const outcome = z.safeParse(schema, value);
  if (outcome.success) {
    return outcome.data;
  }
  const [issue] = outcome.error.issues;
  const key = issue?.path.map(String).join('.') ?? '';
  throw new Error(key === '' ? 'it is not an object of the expected form' : `its "${key}" is not what it should be`);
}
