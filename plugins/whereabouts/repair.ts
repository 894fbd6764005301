import { pluginConfsIn } from '../../lib/cli/confs.ts';
import { withoutPrefix } from '../../lib/cli/located.ts';
import type { NodeRecord } from '../../lib/cli/node.ts';
import type { Container } from '../../lib/cli/scan.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { contains, formatCidr } from '../../lib/net/cidr.ts';
import { formatIp, type Ip, parseIp, sameIp } from '../../lib/net/ip.ts';
import { configuredIn } from './configured.ts';
import { openDatastore } from './datastore.ts';
import { isDamage } from './embedded/engine.ts';
import { type NetworkHeld, rebuild, type Salvage } from './embedded/rebuild.ts';

/** What became of a damaged store. */
export interface Rebuilt {
  readonly dataDir: string;
  /** what was wrong with it */
  readonly damage: string;
  readonly reservations: number;
  /** of them, those that the record of a living pod proves */
  readonly proved: number;
  /** of them, those that nothing but the damaged store tells of: `10.5.0.3 of container c3 net1` */
  readonly unproved: readonly string[];
  /** rows that are lost: what they held is free, unless a living pod has it */
  readonly lost: number;
}

/**
 * What is wrong with the store of a folder.
 *
 * @returns undefined when every row is what was written
 * @throws CniError when it cannot be read
 */
export async function damageOf(dataDir: string, scope: Scope): Promise<string | undefined> {
  try {
    await openDatastore({ kind: 'file', dataDir, networkName: '' }, scope).inspect();
    return undefined;
  } catch (error) {
    if (!isDamage(error)) {
      throw error;
    }
    return (error as Error).message;
  }
}

/**
 * Replaces a damaged store by one with every reservation that can still be read, but for those of dead containers, and with
 * every address that the record of a living pod has. Where they contradict each other, the living pod is right.
 *
 * @throws CniError
 */
export async function repairStore(
  dataDir: string,
  damage: string,
  containers: readonly Container[],
  scope: Scope,
): Promise<Rebuilt> {
  const proved = containers.filter(({ state }) => state !== 'dead').flatMap((one) => provedBy(one, dataDir));
  const dead = new Set(containers.filter(({ state }) => state === 'dead').map(({ containerId }) => containerId));
  let rebuilt: Rebuilt = { dataDir, damage, reservations: 0, proved: 0, unproved: [], lost: 0 };
  await rebuild(dataDir, scope, (salvage) => {
    const kept = merge(salvage, proved, dead);
    rebuilt = {
      dataDir,
      damage,
      reservations: kept.length,
      proved: kept.filter((one) => isAmong(one, proved)).length,
      unproved: kept.filter((one) => !isAmong(one, proved)).map(textOf),
      lost: salvage.unsound,
    };
    return kept;
  });
  return rebuilt;
}

function merge({ sound }: Salvage, proved: readonly NetworkHeld[], dead: ReadonlySet<string>): readonly NetworkHeld[] {
  const kept = new Map<string, NetworkHeld>();
  for (const one of sound.filter(({ held }) => !dead.has(held.entry.id))) {
    kept.set(placeOf(one), one);
  }
  const claimed = new Set<string>();
  for (const one of proved.filter((other) => !claimed.has(placeOf(other)))) {
    claimed.add(placeOf(one));
    const known = kept.get(placeOf(one));
    kept.set(placeOf(one), known !== undefined && isSameOwner(known, one) ? known : one);
  }
  return [...kept.values()];
}

const placeOf = ({ networkName, held: { range, ip } }: NetworkHeld): string =>
  `${networkName} ${range} ${formatIp(ip)}`;

const isSameOwner = (a: NetworkHeld, b: NetworkHeld): boolean =>
  a.held.entry.id === b.held.entry.id && a.held.entry.ifname === b.held.entry.ifname;

const isAmong = (one: NetworkHeld, all: readonly NetworkHeld[]): boolean =>
  all.some((other) => placeOf(other) === placeOf(one) && isSameOwner(other, one));

const textOf = ({ held: { ip, entry } }: NetworkHeld): string =>
  `${formatIp(ip)} of ${entry.podref || `container ${entry.id}`} ${entry.ifname}`.trimEnd();

/** Addresses that a pod has been given, in the ranges that the recorded configuration of its network takes them from. */
const provedBy = ({ containerId, records }: Container, dataDir: string): readonly NetworkHeld[] =>
  records
    .filter(({ plugin }) => plugin !== 'whereabouts')
    .flatMap((record) => record.addresses.flatMap((text) => heldBy(containerId, record, text, dataDir)));

function heldBy(id: string, record: NodeRecord, text: string, dataDir: string): readonly NetworkHeld[] {
  const ip = parseIp(withoutPrefix(text));
  if (ip === undefined || record.list === undefined) {
    return [];
  }
  const found = rangeOf(ip, record, dataDir);
  const entry = { id, podref: record.pod, ifname: record.ifName, network: record.network };
  return found === undefined ? [] : [{ networkName: found.networkName, held: { range: found.range, ip, entry } }];
}

function rangeOf(ip: Ip, { list = {} }: NodeRecord, dataDir: string) {
  const configured = configuredIn(pluginConfsIn(list), () => undefined).filter(
    ({ place }) => place.dataDir === dataDir,
  );
  for (const { place, ranges, statics } of configured) {
    const range = ranges.find(({ cidr }) => contains(cidr, ip) && !statics.some((other) => sameIp(other, ip)));
    if (range !== undefined) {
      return { networkName: place.networkName, range: formatCidr(range.cidr) };
    }
  }
  return undefined;
}
