import type { JsonSchema } from './schemas.ts';

/** Keys that every configuration has: they are not the plugin's own. */
const COMMON = ['cniVersion', 'name', 'type'];

/** A key of a plugin's configuration. Words of JSON are between backticks. */
export interface Option {
  /** with those that lead to it: `ipam.exclude[]` */
  readonly key: string;
  readonly type: string;
  /** '' when it is what absence means anyway */
  readonly fallback: string;
  readonly about: string;
}

/** The keys of a plugin's configuration; those of objects follow theirs. */
export const optionsOf = (schema: JsonSchema): readonly Option[] =>
  Object.entries(schema.properties ?? {})
    .filter(([key]) => !COMMON.includes(key))
    .flatMap(([key, value]) => optionsAt(key, value));

function optionsAt(path: string, schema: JsonSchema): readonly Option[] {
  const below = told(schema).flatMap(([key, value]) => optionsAt(`${path}.${key}`, value));
  const inItems = told(schema.items).flatMap(([key, value]) => optionsAt(`${path}[].${key}`, value));
  const own = { key: path, type: typeOf(schema), fallback: defaultOf(schema), about: schema.description ?? '' };
  return [own, ...below, ...inItems];
}

/** Keys of an object; none where nothing is said of any, as of routes, which the specification describes. */
function told(schema: JsonSchema | undefined): readonly (readonly [string, JsonSchema])[] {
  const entries = Object.entries(schema?.properties ?? {});
  return entries.some(([, { description }]) => description !== undefined) ? entries : [];
}

function typeOf(schema: JsonSchema): string {
  if (schema.enum !== undefined) {
    return schema.enum
      .filter((word) => word !== '' && word !== null)
      .map((word) => `\`${word}\``)
      .join(', ');
  }
  const type = [schema.type ?? []].flat().find((name) => name !== 'null');
  switch (type) {
    case 'integer':
      return 'whole number';
    case 'array':
      return `list of ${schema.items === undefined ? 'any' : typeOf(schema.items)}s`;
    case undefined:
      return untypedOf(schema);
    default:
      return type;
  }
}

/** What a schema of several, or one of our own reading, says of itself. */
function untypedOf({ anyOf, default: fallback }: JsonSchema): string {
  const known = (anyOf as readonly JsonSchema[] | undefined)?.filter(({ type }) => type !== 'null').map(typeOf);
  return known?.join(', ') ?? (Array.isArray(fallback) ? 'list of objects' : 'object');
}

/** Empty is what absence means anyway. */
function defaultOf({ default: value }: JsonSchema): string {
  const isEmpty =
    value === undefined || value === '' || (typeof value === 'object' && Object.keys(value ?? {}).length === 0);
  return isEmpty ? '' : `\`${String(value)}\``;
}
