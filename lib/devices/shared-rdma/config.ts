import * as z from 'zod/mini';
import {
  type Conf,
  flag,
  integer,
  list,
  maybeInteger,
  maybeText,
  object,
  readConf,
  section,
  text,
} from '../../cni/config.ts';
import { messageOf } from '../../cni/errors.ts';
import { isObject } from '../../cni/json.ts';
import type { HealthRules } from '../health.ts';
import { HEALTH, rulesOf } from '../health-config.ts';
import { checkResourceName, type ResourceName } from '../names.ts';

/** The configuration of the Go RDMA shared device plugin. */
const words = (about: string) => list(z.string(), about);

const Selectors = {
  vendors: words('Vendor IDs, four hex digits: `15b3`.'),
  deviceIDs: words('Device IDs, four hex digits.'),
  drivers: words('Names of drivers.'),
  ifNames: words('Names of interfaces.'),
  linkTypes: words('`ether`, `infiniband`.'),
};

const Entry = object({
  resourceName: text('Name of the resource, without its prefix.'),
  resourcePrefix: maybeText('Prefix of its name (default `rdma`).'),
  rdmaHcaMax: integer('How many containers may share it; with `perDevice` each of its devices.', { min: 0 }),
  perDevice: flag('A container gets as many devices as it asks for, with their NUMA nodes, not all of them.'),
  health: HEALTH,
  selectors: section(Selectors, 'Which RDMA devices belong to it: all that is given must be met.'),
  devices: words('Names of interfaces: the older form of `selectors.ifNames`.'),
});

export const SharedRdmaConfig = object({
  periodicUpdateInterval: maybeInteger('Seconds between looks at the node; 0: never (default 60).', {
    min: 0,
    max: 2 ** 31 - 1,
  }),
  configList: list(Entry, 'The resources; a device may belong to several.'),
});

/** Empty lists mean any. */
export type SharedSelector = Pick<
  NonNullable<Conf<typeof Entry>['selectors']> & Record<keyof typeof Selectors, readonly string[]>,
  keyof typeof Selectors
>;

export interface SharedResource extends ResourceName {
  /** of containers that share it, or each of its devices */
  readonly places: number;
  /** a container gets certain devices, not all */
  readonly perDevice: boolean;
  readonly health: HealthRules;
  readonly selector: SharedSelector;
}

export interface SharedConfig {
  readonly resources: readonly SharedResource[];
  /** 0: never */
  readonly lookEveryMs: number;
}

const PREFIX = 'rdma';
const LOOK_S = 60;
const ANY: SharedSelector = { vendors: [], deviceIDs: [], drivers: [], ifNames: [], linkTypes: [] };

/** @throws Error naming the key and the value */
export function readSharedConfig(content: string): SharedConfig {
  let document: unknown;
  try {
    document = JSON.parse(content);
  } catch (error) {
    throw new Error(`it is not JSON: ${messageOf(error)}`);
  }
  if (!isObject(document)) {
    throw new Error('it is not an object');
  }
  const { configList, periodicUpdateInterval = LOOK_S } = readConf(SharedRdmaConfig, document);
  if (configList.length === 0) {
    throw new Error('cannot use "configList": there is no resource in it');
  }
  const resources = configList.map((entry, at) => resourceOf(entry, `configList.${at}`));
  const names = resources.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) {
    // whatever their prefixes: the socket has the name alone
    throw new Error(`cannot use "configList": two resources have the name "${twice}"`);
  }
  return { resources, lookEveryMs: periodicUpdateInterval * 1000 };
}

function resourceOf(entry: Conf<typeof Entry>, what: string): SharedResource {
  const { resourceName: name, resourcePrefix, rdmaHcaMax: places, perDevice, devices } = entry;
  const prefix = resourcePrefix || PREFIX;
  if (!/^[a-zA-Z0-9_]+$/.test(name)) {
    throw new Error(
      `cannot use "${what}.resourceName" ${JSON.stringify(name)}: only letters, digits and "_" are possible`,
    );
  }
  checkResourceName({ prefix, name }, what);
  const selector: SharedSelector = { ...ANY, ...(entry.selectors as SharedSelector | undefined) };
  const isSelecting = Object.keys(ANY).some((key) => selector[key as keyof SharedSelector].length > 0);
  if (isSelecting === devices.length > 0) {
    const why = isSelecting
      ? '"devices" and "selectors" exclude each other'
      : 'neither "devices" nor "selectors" is given';
    throw new Error(`cannot use "${what}": ${why}`);
  }
  const health = rulesOf(entry.health);
  return { prefix, name, places, perDevice, health, selector: isSelecting ? selector : { ...ANY, ifNames: devices } };
}
