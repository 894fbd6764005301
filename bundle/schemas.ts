/** JSON Schemas of the plugins' configurations, generated from their zod schemas. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import type { Plugin } from '../lib/cni/plugin.ts';
import { makeFolder } from '../lib/sys/atomic-file.ts';
import { DIST, exportOf, pluginNames, ROOT } from './compile.ts';
import { deviceSchemas } from './device-schemas.ts';

export type JsonSchema = {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: string;
  readonly enum?: readonly (string | null)[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly [key: string]: unknown;
};

export const DIALECT = 'https://json-schema.org/draft/2020-12/schema';

/** Keys of every network configuration. */
const COMMON: Readonly<Record<string, JsonSchema>> = {
  cniVersion: { type: ['string', 'null'], description: 'Version of the CNI specification.', default: '0.1.0' },
  name: { type: 'string', description: 'Name of the network.' },
};

/** @throws Error when its file does not export it under its name */
export async function loadPlugin(name: string): Promise<Plugin> {
  const module = (await import(join(ROOT, 'plugins', name, 'plugin.ts'))) as Readonly<Record<string, Plugin>>;
  const plugin = module[exportOf(name)];
  if (plugin === undefined) {
    throw new Error(`plugins/${name}/plugin.ts does not export "${exportOf(name)}"`);
  }
  return plugin;
}

/**
 * Schema of a plugin's document, and of the plugin list from which a runtime builds it. An IPAM plugin, marked as such
 * in its own schema, gets the document of the plugin that calls it.
 */
export async function schemaOf(name: string): Promise<JsonSchema> {
  const own = propertiesOf((await loadPlugin(name)).conf);
  const isIpam = own['ipam']?.properties?.['type']?.const === name;
  const type = isIpam
    ? { type: 'string', description: 'Name of the plugin that calls the IPAM plugin.' }
    : { const: name };
  const properties: JsonSchema['properties'] = { ...COMMON, ...own, type };
  const isOurs: JsonSchema = isIpam ? required('ipam', required('type', { const: name })) : required('type', type);
  const references = Object.keys(properties).map((key) => [key, { $ref: `#/properties/${key}` }]);
  const entry = { ...required('type'), ...when(isOurs, { properties: Object.fromEntries(references) }) };
  return {
    $schema: DIALECT,
    title: `Configuration of the CNI plugin ${name}`,
    description: 'Configuration of the plugin, or a plugin list. Plugins match keys without regard to case.',
    type: 'object',
    properties,
    required: ['name'],
    ...when(
      { required: ['plugins'] },
      { properties: { plugins: { type: 'array', minItems: 1, items: entry } } },
      isIpam ? { allOf: [required('type'), isOurs] } : required('type'),
    ),
  };
}

export async function writeSchemas(): Promise<void> {
  makeFolder(join(DIST, 'schema'), { mode: 0o755, sync: false });
  const write = (name: string, schema: JsonSchema): void =>
    writeFileSync(join(DIST, 'schema', `${name}.json`), `${JSON.stringify(schema, null, 2)}\n`);
  for (const name of pluginNames()) {
    write(name, await schemaOf(name));
  }
  for (const { name, schema } of deviceSchemas()) {
    write(name, schema);
  }
}

const required = (key: string, value?: JsonSchema): JsonSchema => ({
  type: 'object',
  required: [key],
  ...(value === undefined ? {} : { properties: { [key]: value } }),
});

const when = (condition: JsonSchema, consequence: JsonSchema, otherwise?: JsonSchema): JsonSchema => ({
  if: condition,
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  then: consequence,
  ...(otherwise === undefined ? {} : { else: otherwise }),
});

const OPTIONS = { io: 'output', unrepresentable: 'any', override: asWritten } as const;

/** Keys of an object, as they may be written. */
export function propertiesOf(conf: z.core.$ZodType): Readonly<Record<string, JsonSchema>> {
  const { properties = {} } = withoutRequired(z.toJSONSchema(conf, OPTIONS)) as JsonSchema;
  return properties;
}

/**
 * zod describes the parsed value, but the input may be more: null, '' among words, and what a parser of ours converts.
 */
function asWritten({
  zodSchema,
  jsonSchema,
}: {
  zodSchema: z.core.$ZodTypes;
  jsonSchema: z.core.JSONSchema.BaseSchema;
}) {
  const { def } = zodSchema._zod;
  const takes = (value: unknown): boolean => z.safeParse(zodSchema, value).success;
  if (def.type === 'pipe' && def.out._zod.def.type === 'transform') {
    const { $schema, ...form } = z.toJSONSchema(def.in, OPTIONS);
    Object.assign(jsonSchema, form);
  }
  const isNullable = typeof jsonSchema.type === 'string' && takes(null);
  if (jsonSchema.enum !== undefined) {
    const more = jsonSchema.enum.includes('') || !takes('') ? [] : [''];
    jsonSchema.enum = [...jsonSchema.enum, ...more, ...(isNullable ? [null] : [])];
  }
  if (isNullable) {
    Object.assign(jsonSchema, { type: [jsonSchema.type, 'null'] });
  }
}

/** Every key is optional: what is required in the parsed value is not required in the input. */
function withoutRequired(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(withoutRequired);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const kept = Object.entries(value).filter(([key, item]) => key !== 'required' && !(key === '$schema' && item));
  return Object.fromEntries(kept.map(([key, item]) => [key, withoutRequired(item)]));
}
