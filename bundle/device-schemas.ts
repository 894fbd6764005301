/** JSON Schemas of the configurations of devices. */
import { SharedRdmaConfig } from '../lib/devices/shared-rdma/config.ts';
import { SriovConfig, SriovSelector } from '../lib/devices/sriov/config.ts';
import { DIALECT, type JsonSchema, propertiesOf } from './schemas.ts';

export interface DeviceSchema {
  /** of its file: `device-config` */
  readonly name: string;
  readonly schema: JsonSchema;
  /** the same for people, where a list may also be one of its items */
  readonly told: JsonSchema;
}

type Properties = Readonly<Record<string, JsonSchema>>;

export const deviceSchemas = (): readonly DeviceSchema[] => [sriovSchema(), rdmaSchema()];

function sriovSchema(): DeviceSchema {
  const { resourceList = {} } = propertiesOf(SriovConfig);
  const { items } = resourceList;
  const { selectors = {}, ...rest } = items?.properties ?? {};
  const description = selectors.description ?? '';
  const selector: JsonSchema = { type: 'object', properties: propertiesOf(SriovSelector) };
  const list: JsonSchema = { type: 'array', minItems: 1, items: selector };
  const withSelectors = (own: JsonSchema): Properties => ({
    resourceList: {
      ...required(resourceList),
      items: { ...items, properties: { ...rest, selectors: own }, required: ['resourceName', 'selectors'] },
    },
  });
  const title = 'Resources of SR-IOV devices';
  return {
    name: 'device-config',
    schema: document(title, 'resourceList', withSelectors({ description, anyOf: [selector, list] })),
    told: document(title, 'resourceList', withSelectors({ ...list, description })),
  };
}

function rdmaSchema(): DeviceSchema {
  const { configList = {}, ...rest } = propertiesOf(SharedRdmaConfig);
  const { items } = configList;
  const list = { ...required(configList), items: { ...items, required: ['resourceName'] } };
  const schema = document('Resources of RDMA devices that pods share', 'configList', { ...rest, configList: list });
  return { name: 'rdma-device-config', schema, told: schema };
}

/** A list that is not null, nor empty. */
const required = ({ default: _, ...list }: JsonSchema): JsonSchema => ({ ...list, type: 'array', minItems: 1 });

const document = (title: string, key: string, properties: Properties): JsonSchema => ({
  $schema: DIALECT,
  title,
  description: 'Keys match without regard to case.',
  type: 'object',
  properties,
  required: [key],
});
