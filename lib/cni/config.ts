import * as z from 'zod/mini';
import { CniError, quoted } from './errors.ts';
import { isObject, type Json, type JsonObject } from './json.ts';
import { type Dns, parseDns, parseRoutes, type Route } from './result.ts';

/**
 * Configuration as the Go plugins read it: keys match without regard to case, null means absent, unknown keys stay, a
 * wrong type is an error naming key and value. The schemas are zod's: types are inferred and JSON Schema is generated
 * from them.
 */
export type Schema<T> = z.ZodMiniType<T>;
export type Conf<S> = S extends Schema<infer T> ? T : never;

/** A string; null and absent are ''. */
export const text = (about: string) => described(z._default(nullable(z.string(), ''), ''), about);

/** A string, a boolean, a whole number that stay absent when null or absent: no value means the same. */
export const maybeText = (about: string) => described(z.optional(nullable(z.string(), undefined)), about);
export const maybeFlag = (about: string) => described(z.optional(nullable(z.boolean(), undefined)), about);
export const maybeInteger = (about: string, { min, max }: { readonly min: number; readonly max: number }) =>
  described(z.optional(nullable(z.int().check(z.minimum(min), z.maximum(max)), undefined)), about);

/** A string that must be this word. The plugin checks that, with its own message. */
export function word(value: string, about: string) {
  const schema = text(about);
  z.globalRegistry.add(schema, { description: about, const: value });
  return schema;
}

/** A boolean; null and absent are `fallback`. */
export const flag = (about: string, fallback = false) =>
  described(z._default(nullable(z.boolean(), fallback), fallback), about);

/** A whole number; null and absent are `fallback`. */
export const integer = (about: string, { min = -(2 ** 31), max = 2 ** 31 - 1, fallback = 0 } = {}) =>
  described(z._default(nullable(z.int().check(z.minimum(min), z.maximum(max)), fallback), fallback), about);

/** One of some words; '', null and absent are `fallback`. */
export const oneOf = <const W extends readonly [string, ...string[]]>(words: W, fallback: W[number], about: string) =>
  described(
    z._default(
      z.pipe(
        z.transform((value) => (value === null || value === '' ? fallback : value)),
        z.enum(words),
      ),
      fallback as never,
    ),
    about,
  );

/** A list; null and absent are the empty list. */
export const list = <S extends z.ZodMiniType>(item: S, about: string) =>
  described(z._default(nullable(z.array(item), []), []), about);

/** Strings by names of any kind; null and absent are none. */
export const texts = (about: string) =>
  described(z._default(nullable(z.record(z.string(), z.string()), {}), {}), about);

/** Strings by names of any kind, by names of any kind; null and absent are none. */
export const textTables = (about: string) =>
  described(z._default(nullable(z.record(z.string(), z.record(z.string(), z.string())), {}), {}), about);

/** An object with keys of its own; absent when null or absent. */
export const section = <S extends z.core.$ZodLooseShape>(shape: S, about: string) =>
  described(z.optional(nullable(object(shape), undefined)), about);

/** Any object, kept as it is; absent when null or absent. */
export const anyObject = (about: string) =>
  described(
    z.optional(nullable(z.record(z.string(), z.unknown()) as unknown as z.ZodMiniType<JsonObject>, undefined)),
    about,
  );

/** Any JSON value, kept as it is. */
export const anyValue = (about: string) => described(z.optional(z.unknown() as z.ZodMiniType<Json>), about);

/** The keys that `parseRoutes` and `parseDns` read, so that the schema knows them; those functions check the values. */
const keys = (...names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, z.optional(z.unknown())] as const));
const ROUTES = z.nullable(
  z.array(z.looseObject(keys('dst', 'gw', 'mtu', 'advmss', 'priority', 'table', 'scope'))),
) as unknown as z.ZodMiniType;
const DNS = z.nullable(z.looseObject(keys('nameservers', 'domain', 'search', 'options'))) as unknown as z.ZodMiniType;

/** Routes as in results. */
export const routes = (about: string) =>
  described(
    z._default(
      custom<readonly Route[]>(ROUTES, (value) => parseRoutes(value, 'routes')),
      [],
    ),
    about,
  );

/** DNS settings as in results. */
export const dns = (about: string) =>
  described(
    z._default(
      custom<Dns>(DNS, (value) => parseDns(value, 'dns')),
      {},
    ),
    about,
  );

/** Words that are on or off, as in `capabilities`. */
const switches = (about: string) =>
  described(z._default(nullable(z.record(z.string(), z.nullable(z.boolean())), {}), {}), about);

/** Keys of every configuration that plugins ignore, but whose types Go checks. */
const COMMON = () => ({
  type: text('Name of the plugin.'),
  capabilities: switches('Keys of `runtimeConfig` for the runtime to fill in.'),
  prevResult: anyObject('Result of the previous plugin; filled in by the runtime.'),
});

/** The configuration of one plugin. */
export const conf = <S extends z.core.$ZodLooseShape>(shape: S) => object(shape);

/** The same, with the common keys. */
export const networkConf = <S extends z.core.$ZodLooseShape>(shape: S) => object({ ...COMMON(), ...shape });

/** The IPAM plugin and its configuration. */
export const ipamSection = () =>
  section(
    { type: text('Name of the IPAM plugin; empty for none.') },
    'The IPAM plugin and its configuration. Without `type` the interface gets no addresses.',
  );

/** Time limit for plugins that this one executes. */
export const delegateTimeout = () =>
  integer('Seconds after which a plugin executed by this one is killed and ADD undone; 0: 240.', { min: 0 });

/** An object whose keys match without regard to case; unknown keys stay. */
export function object<S extends z.core.$ZodLooseShape>(shape: S) {
  const names = new Map(Object.keys(shape).map((key) => [key.toLowerCase(), key]));
  const fold = (value: unknown): unknown =>
    isObject(value)
      ? Object.fromEntries(Object.entries(value).map(([key, item]) => [names.get(key.toLowerCase()) ?? key, item]))
      : value;
  return z.pipe(z.transform(fold), z.looseObject(shape));
}

/**
 * Reads a configuration.
 *
 * @throws CniError invalidNetworkConfig naming the key and the value
 */
export function readConf<T>(schema: Schema<T>, value: Json, what = ''): T {
  const outcome = z.safeParse(schema, value);
  if (outcome.success) {
    return outcome.data;
  }
  const [issue] = outcome.error.issues;
  const path = (issue?.path ?? []) as readonly (string | number)[];
  if (issue?.code === 'custom' && issue.params?.['error'] instanceof CniError) {
    throw issue.params['error'];
  }
  const key = [...(what === '' ? [] : [what]), ...path.map(String)].join('.');
  throw new CniError(
    'invalidNetworkConfig',
    `cannot use "${key}": ${shown(valueAt(value, path))} is not ${expected(issue)}`,
  );
}

function nullable<S extends z.ZodMiniType, F>(schema: S, fallback: F): z.ZodMiniType<z.output<S> | F> {
  return z.pipe(
    z.transform((value) => (value === null ? undefined : value)),
    (fallback === undefined ? z.optional(schema) : z._default(schema, fallback as never)) as never,
  ) as unknown as z.ZodMiniType<z.output<S> | F>;
}

function custom<T>(form: z.ZodMiniType, parse: (value: Json) => T): z.ZodMiniType<T> {
  return z.pipe(
    form,
    z.transform((value, context) => {
      try {
        return parse(value as Json);
      } catch (error) {
        context.issues.push({ code: 'custom', input: value, params: { error }, message: String(error) });
        return z.NEVER;
      }
    }),
  ) as unknown as z.ZodMiniType<T>;
}

function described<S extends z.ZodMiniType>(schema: S, description: string): S {
  z.globalRegistry.add(schema, { description });
  return schema;
}

function valueAt(value: Json | undefined, path: readonly (string | number)[]): Json | undefined {
  let here: Json | undefined = value;
  for (const step of path) {
    if (Array.isArray(here)) {
      here = here[Number(step)];
    } else if (isObject(here)) {
      const wanted = String(step).toLowerCase();
      here = Object.entries(here).findLast(([name]) => name.toLowerCase() === wanted)?.[1];
    } else {
      return undefined;
    }
  }
  return here;
}

const shown = (value: Json | undefined): string =>
  Number.isNaN(value) ? 'a number with a fraction or an exponent' : quoted(value);

type Issue = z.core.$ZodIssue;

const ARTICLES: Readonly<Record<string, string>> = {
  string: 'a string',
  boolean: 'a boolean',
  number: 'a whole number',
  int: 'a whole number',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

function expected(issue: Issue | undefined): string {
  switch (issue?.code) {
    case 'invalid_type':
      return ARTICLES[issue.expected] ?? issue.expected;
    case 'too_small':
      return `at least ${issue.minimum}`;
    case 'too_big':
      return `at most ${issue.maximum}`;
    case 'invalid_value':
      return `one of ${issue.values.map((word) => `"${String(word)}"`).join(', ')}`;
    default:
      return issue?.message ?? 'valid';
  }
}
