import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { readSharedConfig } from '../lib/devices/shared-rdma/config.ts';
import { readSriovConfig } from '../lib/devices/sriov/config.ts';
import { deviceSchemas } from './device-schemas.ts';

const EXAMPLES = join(import.meta.dirname, '../lib/devices/examples');
const READERS: Readonly<Record<string, (content: string) => unknown>> = {
  'device-config': (content) => readSriovConfig(content, 'intel.com'),
  'rdma-device-config': readSharedConfig,
};

const ajv = new Ajv2020({ allErrors: true, strict: true, strictRequired: false, allowUnionTypes: true });
const validators = new Map(deviceSchemas().map(({ name, schema }) => [name, ajv.compile(schema)]));

/** What the schema and the program each say. */
function verdicts(name: string, content: unknown): { readonly schema: boolean; readonly program: boolean } {
  const schema = validators.get(name)?.(content) === true;
  try {
    READERS[name]?.(JSON.stringify(content));
    return { schema, program: true };
  } catch {
    return { schema, program: false };
  }
}

const resource = (more: object) => ({ resourceList: [{ resourceName: 'a', selectors: {}, ...more }] });
const shared = (more: object) => ({ configList: [{ resourceName: 'a', rdmaHcaMax: 1, devices: ['b'], ...more }] });
const BOTH = { schema: true, program: true };
const NEITHER = { schema: false, program: false };

describe('schemas of configurations of devices', () => {
  it.each(globSync('*.json', { cwd: EXAMPLES }))('take the example %s, as the program does', (file) => {
    const content = JSON.parse(readFileSync(join(EXAMPLES, file), 'utf8')) as { readonly configList?: unknown };
    const name = content.configList === undefined ? 'device-config' : 'rdma-device-config';
    expect(verdicts(name, content)).toEqual(BOTH);
  });

  it.each<[string, string, unknown]>([
    ['device-config', 'one selector', resource({})],
    ['device-config', 'a list of selectors', resource({ selectors: [{}, { vendors: null, isRdma: true }] })],
    ['device-config', 'what is null or empty', resource({ health: null, allocation: '', additionalInfo: null })],
    ['device-config', 'keys that nobody knows', { ...resource({ more: 1 }), more: 1 }],
    ['rdma-device-config', 'no interval', shared({ resourcePrefix: null })],
    ['rdma-device-config', 'an interval', { ...shared({}), periodicUpdateInterval: 0 }],
  ])('take %s: %s', (name, _, content) => {
    expect(verdicts(name, content)).toEqual(BOTH);
  });

  it.each<[string, string, unknown]>([
    ['device-config', 'no list', {}],
    ['device-config', 'an empty list', { resourceList: [] }],
    ['device-config', 'no selectors', { resourceList: [{ resourceName: 'a' }] }],
    ['device-config', 'an empty list of selectors', resource({ selectors: [] })],
    ['device-config', 'a selector that is a word', resource({ selectors: ['a'] })],
    ['device-config', 'a list that is a word', resource({ selectors: { vendors: '8086' } })],
    ['device-config', 'a kind that is none', resource({ deviceType: 'netdevice' })],
    ['device-config', 'a policy that is none', resource({ allocation: 'far' })],
    ['device-config', 'a number as more', resource({ additionalInfo: { '*': { a: 1 } } })],
    ['rdma-device-config', 'no list', {}],
    ['rdma-device-config', 'a list of selectors', shared({ devices: [], selectors: [{}] })],
    ['rdma-device-config', 'fewer than none', shared({ rdmaHcaMax: -1 })],
    ['rdma-device-config', 'an interval in pieces', { ...shared({}), periodicUpdateInterval: 1.5 }],
  ])('refuse %s: %s', (name, _, content) => {
    expect(verdicts(name, content)).toEqual(NEITHER);
  });
});
