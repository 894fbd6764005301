import { readFileSync } from 'node:fs';
import { count } from '../../../lib/cli/table.ts';
import { CniError, messageOf } from '../../../lib/cni/errors.ts';
import type { JsonObject } from '../../../lib/cni/json.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import { ApiError, type KubeApi, type KubeObject } from '../../../lib/kube/api.ts';
import { ioError } from '../../../lib/sys/io-error.ts';
import { importInto, type Taken } from '../import-into.ts';
import type { StorePlace } from '../place.ts';
import { type Equivalent, equivalentOf } from './equivalent.ts';
import { type NvPool, nvPools, readPool } from './objects.ts';
import { readReservations } from './reservations.ts';

type Print = (line: string) => void;

export interface NvWanted {
  readonly pools: readonly NvPool[];
  /** the file of this node's daemon; undefined: only configurations are printed */
  readonly reservations: string | undefined;
  readonly place: StorePlace;
  readonly asJson: boolean;
}

const NOT_FOUND = 404;

/** @throws ApiError; Error naming a pool that cannot be used */
export async function nvPoolsOf(api: KubeApi): Promise<readonly NvPool[]> {
  const [blocks, prefixes] = await Promise.all([
    listed(api, 'ippools', 'IPPool'),
    listed(api, 'cidrpools', 'CIDRPool'),
  ]);
  return [...blocks, ...prefixes];
}

/** Objects in a list do not say what they are. */
async function listed(api: KubeApi, plural: 'ippools' | 'cidrpools', kind: NvPool['kind']): Promise<readonly NvPool[]> {
  try {
    return (await api.list<KubeObject>(nvPools(plural))).map((object) => readPool({ ...object, kind }));
  } catch (error) {
    if (error instanceof ApiError && error.status === NOT_FOUND) {
      return [];
    }
    throw error;
  }
}

interface ImportedNetwork extends Taken {
  readonly networkName: string;
}

/** Prints how whereabouts is configured alike, and takes over what pods of this node have. */
export async function importNvIpam(wanted: NvWanted, scope: Scope, print: Print): Promise<number> {
  const equivalents = wanted.pools.map(usable);
  const { imported, skipped } = await take(wanted, scope);
  if (wanted.asJson) {
    print(JSON.stringify({ pools: equivalents, imported, skipped }, null, 2));
    return 0;
  }
  for (const one of equivalents) {
    printEquivalent(one, print);
  }
  for (const text of skipped) {
    print(`skipped ${text}`);
  }
  for (const { networkName, added, present } of imported) {
    print(`imported ${count(added, 'address', 'addresses')} of network "${networkName}"; ${present} already there`);
  }
  if (equivalents.length === 0) {
    print('there are no pools');
  }
  return 0;
}

function usable(pool: NvPool): Equivalent {
  try {
    return equivalentOf(pool);
  } catch (error) {
    throw new CniError('internal', messageOf(error), { cause: error });
  }
}

async function take({ pools, reservations: path, place }: NvWanted, scope: Scope) {
  if (path === undefined) {
    return { imported: [], skipped: [] };
  }
  const { networks, skipped } = readReservations(path, textOf(path), pools);
  const imported: ImportedNetwork[] = [];
  for (const [networkName, addresses] of networks) {
    const taken = await importInto(
      { ...place, networkName },
      addresses,
      { isAcross: true, isOfNode: () => true },
      scope,
    );
    imported.push({ networkName, ...taken });
  }
  return { imported, skipped };
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw ioError('read', path, error);
  }
}

function printEquivalent({ pool, kind, ipam, perNode, notes }: Equivalent, print: Print): void {
  print(`# ${kind} "${pool}"`);
  printJson(ipam, print);
  for (const { node, ipam: own } of perNode) {
    print(`# of node "${node}"`);
    printJson(own, print);
  }
  for (const note of notes) {
    print(`# ${note}`);
  }
  print('');
}

const printJson = (ipam: JsonObject, print: Print): void => print(`"ipam": ${JSON.stringify(ipam, null, 2)}`);
