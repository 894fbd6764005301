import { depthFault, rawMembers, stringifyDeep } from './nesting.ts';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const ESCAPED = /[<>&\u2028\u2029]/g;

/** Go's encoder escapes these characters, so that JSON is safe in HTML. */
const escapeLikeGo = (text: string): string =>
  text.replace(ESCAPED, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);

/**
 * Reads a JSON text.
 *
 * @throws SyntaxError; RangeError when it is nested deeper than Go can read
 */
export function parseJson(text: string): unknown {
  const fault = depthFault(text);
  if (fault !== undefined) {
    throw new RangeError(fault);
  }
  return JSON.parse(text);
}

/** Finds where there may be a number with a fraction or exponent. */
const FLOATING = /[:[,]\s*-?\d+(?:\.\d|[eE])/;

/**
 * A document whose top-level numbers are integers only where Go reads them as such: `1400.0` and `1.4e3` become NaN,
 * which every schema refuses.
 */
export function withPlainIntegers(document: JsonObject, text: string): JsonObject {
  if (!FLOATING.test(text)) {
    return document;
  }
  const written = rawMembers(text);
  const isFloat = (key: string, value: unknown): boolean =>
    Number.isInteger(value) && /[.eE]/.test(written.get(key) ?? '');
  return Object.fromEntries(
    Object.entries(document).map(([key, value]) => [key, isFloat(key, value) ? Number.NaN : value]),
  );
}

/**
 * Where a number is that no double holds, such as `1e309`: it would be passed on as null.
 *
 * @returns its keys, separated by dots; undefined when there is none
 */
export function hugeNumberIn(value: unknown): string | undefined {
  const pending = [{ part: value, at: '' }]; // a call for each level would run out of stack
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { part, at } = next;
    if (part === Number.POSITIVE_INFINITY || part === Number.NEGATIVE_INFINITY) {
      return at;
    }
    if (isStructure(part)) {
      for (const [key, inner] of Object.entries(part)) {
        pending.push({ part: inner, at: at === '' ? key : `${at}.${key}` });
      }
    }
  }
  return undefined;
}

/** One line, as Go's `json.Marshal` prints it: keys in the order given. */
export const compact = (value: unknown): string => escapeLikeGo(stringify(value));

/** Engines older than Node 26's overflow the stack at some thousand levels. */
function stringify(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (error instanceof RangeError) {
      return stringifyDeep(value);
    }
    throw error;
  }
}

/** Four spaces, no final newline, as Go's `json.MarshalIndent` prints it. */
export const pretty = (value: unknown): string => escapeLikeGo(JSON.stringify(value, null, 4));

/** The same value with the keys of every object in byte order, as Go prints a map. */
export function sorted<T>(value: T): T {
  const top = shallowSorted(value);
  const pending: Record<string, unknown>[] = []; // recursion would overflow the stack
  if (isStructure(top)) {
    pending.push(top);
  }
  for (let parts = pending.pop(); parts !== undefined; parts = pending.pop()) {
    for (const key of Object.keys(parts)) {
      const part = parts[key];
      if (isStructure(part)) {
        const copy = shallowSorted(part);
        parts[key] = copy;
        pending.push(copy);
      }
    }
  }
  return top;
}

/** Lists too: their keys are numbers. */
const isStructure = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** A copy sorted at the top level only; a value without keys is returned as it is. */
function shallowSorted<T>(value: T): T {
  if (Array.isArray(value)) {
    return [...value] as T;
  }
  if (!isObject(value)) {
    return value;
  }
  const keys = Object.keys(value);
  return isByteOrder(keys) ? { ...value } : (Object.fromEntries(byteOrder(keys).map((key) => [key, value[key]])) as T);
}

const SURROGATE = /[\ud800-\udfff]/;

const isByteOrder = (keys: readonly string[]): boolean =>
  keys.every((key, index) => (index === 0 || (keys[index - 1] ?? '') < key) && !SURROGATE.test(key));

/** JavaScript's order equals byte order, except for characters beyond the basic plane. */
const byteOrder = (keys: string[]): string[] =>
  keys.some((key) => SURROGATE.test(key))
    ? keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    : keys.sort();

/** A string of a document; '' where there is none. Never fails: for DEL, and for people. */
export function textIn(document: unknown, key: string): string {
  const value = isObject(document) ? lookUp(document, key) : undefined;
  return typeof value === 'string' ? value : '';
}

/** The value of a key as Go finds it: the last key that matches without regard to case. */
export function lookUp(object: JsonObject, key: string): Json | undefined {
  const wanted = key.toLowerCase();
  let found: Json | undefined;
  // Documents inherit nothing that is listed; a list of keys would be garbage with each look.
  for (const name in object) {
    if (
      (name === key || (name.length === key.length && name.toLowerCase() === wanted)) &&
      Object.hasOwn(object, name)
    ) {
      found = object[name];
    }
  }
  return found;
}
