export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const ESCAPED = /[<>&\u2028\u2029]/g;

/** Go's encoder writes these characters as escapes, so that JSON can stand in HTML. */
const escapeLikeGo = (text: string): string =>
  text.replace(ESCAPED, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Where a number with a fraction or an exponent may stand. */
const FLOATING = /[:[,]\s*-?\d+(?:\.\d|[eE])/;

/**
 * A document whose top-level numbers are integers only if they are for Go: `1400.0` and `1.4e3` are not, and become NaN,
 * which no schema takes for a number.
 */
export function withPlainIntegers(document: JsonObject, text: string): JsonObject {
  if (!FLOATING.test(text)) {
    return document;
  }
  const floating = new Set<unknown>();
  const reviver = (_key: string, value: unknown, { source = '' }: { readonly source?: string }): unknown => {
    if (!Number.isInteger(value) || !/[.eE]/.test(source)) {
      return value;
    }
    const marked = { source };
    floating.add(marked);
    return marked;
  };
  const marked = JSON.parse(text, reviver as (key: string, value: unknown) => unknown) as JsonObject;
  const isFloating = (key: string): boolean => floating.has(marked[key]);
  return Object.fromEntries(
    Object.entries(document).map(([key, value]) => [key, isFloating(key) ? Number.NaN : value]),
  );
}

/** Is there a number in it that no double holds, such as `1e309`? It would be passed on as null. */
export const hasHugeNumber = (value: unknown): boolean =>
  typeof value === 'object' && value !== null
    ? Object.values(value).some(hasHugeNumber)
    : value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY;

/** One line, as Go's `json.Marshal` prints it: keys in the order given. */
export const compact = (value: unknown): string => escapeLikeGo(JSON.stringify(value));

/** Four spaces, no final newline, as Go's `json.MarshalIndent` prints it. */
export const pretty = (value: unknown): string => escapeLikeGo(JSON.stringify(value, null, 4));

/** The same value with the keys of every object in byte order, as Go prints a map. */
export function sorted<T>(value: T): T {
  if (Array.isArray(value)) {
    return value.map(sorted) as T;
  }
  if (!isObject(value)) {
    return value;
  }
  const keys = byteOrder(Object.keys(value));
  return Object.fromEntries(keys.map((key) => [key, sorted(value[key])])) as T;
}

const SURROGATE = /[\ud800-\udfff]/;

/** JavaScript's own order is that of the bytes, but for characters beyond the basic plane. */
const byteOrder = (keys: string[]): string[] =>
  keys.some((key) => SURROGATE.test(key))
    ? keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    : keys.sort();

/** The value of a key as Go finds it: the last key that matches without regard to case. */
export function lookUp(object: JsonObject, key: string): Json | undefined {
  const wanted = key.toLowerCase();
  let found: Json | undefined;
  for (const name of Object.keys(object)) {
    if (name === key || (name.length === key.length && name.toLowerCase() === wanted)) {
      found = object[name];
    }
  }
  return found;
}
