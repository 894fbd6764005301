/** JSON Schemas of the plugins' configurations, from the zod schemas that read them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import type { Plugin } from '../lib/cni/plugin.ts';
import { makeFolder } from '../lib/sys/atomic-file.ts';
import { DIST, exportOf, pluginNames, ROOT } from './compile.ts';

export type JsonSchema = {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly [key: string]: unknown;
};

/** Keys that every network configuration has. */
const COMMON: Readonly<Record<string, JsonSchema>> = {
  cniVersion: { type: 'string', description: 'Version of the CNI specification.', default: '0.1.0' },
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

export async function schemaOf(name: string): Promise<JsonSchema> {
  const plugin = await loadPlugin(name);
  const own = withoutRequired(z.toJSONSchema(plugin.conf, { io: 'output', unrepresentable: 'any' })) as JsonSchema;
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: `Configuration of the CNI plugin ${name}`,
    type: 'object',
    properties: { ...COMMON, ...own.properties, type: { const: name } },
    required: ['name', 'type'],
  };
}

export async function writeSchemas(): Promise<void> {
  makeFolder(join(DIST, 'schema'), { mode: 0o755, sync: false });
  for (const name of pluginNames()) {
    writeFileSync(join(DIST, 'schema', `${name}.json`), `${JSON.stringify(await schemaOf(name), null, 2)}\n`);
  }
}

/** Every key may be left out: what is required of the value read is not required of what is written. */
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
