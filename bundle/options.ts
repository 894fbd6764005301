import type { JsonSchema } from './schemas.ts';

/** Keys of every configuration, not specific to the plugin. */
const COMMON = ['cniVersion', 'name', 'type'];

/** A key of a plugin's configuration. JSON words are in backticks. */
export interface Option {
  /** with its parents: `ipam.exclude[]` */
  readonly key: string;
  readonly type: string;
  /** '' when it is the empty value */
  readonly fallback: string;
  readonly about: string;
}

/** The keys of a plugin's configuration; an object's keys follow it. */
export const optionsOf = (schema: JsonSchema): readonly Option[] =>
  Object.entries(schema.properties ?? {})
    .filter(([key]) => !COMMON.includes(key))
    .flatMap(([key, value]) => optionsAt(key, value));

function optionsAt(path: string, schema: JsonSchema): readonly Option[] {
  const below = told(schema).flatMap(([key, value]) => optionsAt(`${path}.${key}`, value));
  const own = { key: path, type: typeOf(schema), fallback: defaultOf(schema), about: schema.description ?? '' };
  return [own, ...below, ...optionsOfItems(path, schema)];
}

/** Keys of the objects in a list, or in the lists of a list. */
function optionsOfItems(path: string, { items }: JsonSchema): readonly Option[] {
  const own = told(items).flatMap(([key, value]) => optionsAt(`${path}[].${key}`, value));
  return items === undefined ? own : [...own, ...optionsOfItems(`${path}[]`, items)];
}

/** Keys of an object; none if none is described, such as those of routes, which the specification describes. */
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
      return `list of ${schema.items === undefined ? 'any' : typeOf(schema.items).replace(/^list of/, 'lists of')}`.replace(
        /s?$/,
        's',
      );
    case undefined:
      return untypedOf(schema);
    default:
      return type;
  }
}

/** Type of a union, or of a schema with a parser of our own. */
function untypedOf({ anyOf, default: fallback }: JsonSchema): string {
  const known = (anyOf as readonly JsonSchema[] | undefined)?.filter(({ type }) => type !== 'null').map(typeOf);
  return known?.join(', ') ?? (Array.isArray(fallback) ? 'list of objects' : 'object');
}

/** No default if it is the empty value. */
function defaultOf({ default: value }: JsonSchema): string {
  const isEmpty =
    value === undefined || value === '' || (typeof value === 'object' && Object.keys(value ?? {}).length === 0);
  return isEmpty ? '' : `\`${String(value)}\``;
}
