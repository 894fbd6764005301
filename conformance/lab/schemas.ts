/** The published schemas, as a stranger's validator takes them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { DIST, PLUGINS, stdinOf } from './programs.ts';

type Schema = Readonly<Record<string, unknown>>;

export const schemaOf = (plugin: string): Schema =>
  JSON.parse(readFileSync(join(DIST, 'schema', `${plugin}.json`), 'utf8')) as Schema;

const ajv = new Ajv2020({ allErrors: true, strict: true, strictRequired: false, allowUnionTypes: true });
const validators = new Map<string, ReturnType<typeof ajv.compile>>();

/** What the schema has against a document; '' for nothing. */
export function faultOf(plugin: string, document: unknown): string {
  const validate = validators.get(plugin) ?? ajv.compile(schemaOf(plugin));
  validators.set(plugin, validate);
  return validate(document) ? '' : ajv.errorsText(validate.errors, { separator: '; ' });
}

/** Plugins whose schema a configuration must fit: its own, and that of the IPAM plugin that it names. */
export function readersOf(conf: Schema): readonly string[] {
  const { type, ipam } = conf as { type?: unknown; ipam?: { type?: unknown } | null };
  return [type, ipam?.type].filter((name): name is string => typeof name === 'string' && PLUGINS.includes(name));
}

/**
 * Whoever calls a plugin does so by its type, which the plugin itself does not look at.
 *
 * @throws Error when the schemas reject a document that a plugin has taken
 */
export function demandDescribed(plugin: string, conf: unknown): void {
  const document = JSON.parse(stdinOf(conf).toString()) as Schema;
  for (const reader of new Set([plugin, ...readersOf({ ...document, type: plugin })])) {
    const fault = faultOf(reader, { ...spelled(reader, document), type: plugin });
    if (fault !== '') {
      throw new Error(`${plugin} took what dist/schema/${reader}.json rejects: ${fault}: ${JSON.stringify(document)}`);
    }
  }
}

/**
 * The same document with keys as the schema spells them: programs read them without regard to case, which a schema
 * cannot say. Of keys that are one then, the last is read.
 */
export function spelled(plugin: string, document: Schema): Schema {
  return respelled(schemaOf(plugin), document) as Schema;
}

function respelled(schema: Schema, value: unknown): unknown {
  const { properties = {}, items = {} } = schema as Readonly<Record<string, Readonly<Record<string, Schema>>>>;
  if (schema['properties'] === undefined && schema['items'] === undefined) {
    return value;
  }
  if (Array.isArray(value)) {
    return value.map((item) => respelled(items, item));
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const names = new Map(Object.keys(properties).map((name) => [name.toLowerCase(), name]));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const name = names.get(key.toLowerCase()) ?? key;
      return [name, respelled(properties[name] ?? {}, item)];
    }),
  );
}
