import type { JsonSchema } from '../../bundle/schemas.ts';
import { markdownTable } from './markdown.ts';

/** Keys that every configuration has: they are not the plugin's own. */
const COMMON = ['cniVersion', 'name', 'type'];

/** The keys of a plugin's configuration as a table; those of objects follow theirs. */
export function optionsTable(schema: JsonSchema): string {
  const own = Object.entries(schema.properties ?? {}).filter(([key]) => !COMMON.includes(key));
  const rows = own.flatMap(([key, value]) => rowsOf(key, value));
  return markdownTable(['Key', 'Type', 'Default', 'Meaning'], rows);
}

function rowsOf(path: string, schema: JsonSchema): readonly (readonly string[])[] {
  const below = Object.entries(schema.properties ?? {}).flatMap(([key, value]) => rowsOf(`${path}.${key}`, value));
  const inItems = Object.entries(schema.items?.properties ?? {}).flatMap(([key, value]) =>
    rowsOf(`${path}[].${key}`, value),
  );
  return [[`\`${path}\``, typeOf(schema), defaultOf(schema), schema.description ?? ''], ...below, ...inItems];
}

function typeOf(schema: JsonSchema): string {
  if (schema.enum !== undefined) {
    return schema.enum
      .filter((word) => word !== '')
      .map((word) => `\`${word}\``)
      .join(', ');
  }
  switch (schema.type) {
    case 'integer':
      return 'whole number';
    case 'array':
      return `list of ${schema.items === undefined ? 'any' : typeOf(schema.items)}s`;
    case undefined:
      return untypedOf(schema);
    default:
      return schema.type;
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
