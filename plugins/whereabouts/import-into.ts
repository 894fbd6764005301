import { readNode } from '../../lib/cli/node.ts';
import { CACHE_FOLDER, CONF_FOLDER } from '../../lib/cli/program.ts';
import { CniError, messageOf } from '../../lib/cni/errors.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { formatCidr } from '../../lib/net/cidr.ts';
import { formatIp } from '../../lib/net/ip.ts';
import { openDatastore } from './datastore.ts';
import { type ImportedAddress, planImport } from './import-plan.ts';
import { LoadedPools } from './loaded-pools.ts';
import { LARGEST_KEY, storedRange } from './names.ts';
import type { StorePlace } from './place.ts';
import type { Entry } from './pool.ts';

export interface Taken {
  readonly added: number;
  readonly present: number;
}

export interface Origin {
  /** an address is taken when another range of the network holds it */
  readonly isAcross: boolean;
  /** Is the attachment this node's, which is to remember it? */
  readonly isOfNode: (entry: Entry) => boolean;
}

/** The server takes 10,000 operations in one patch, and the addresses of one are reserved across ranges before it. */
const AT_ONCE = 500;

/**
 * Takes addresses into a store. One that has another owner there is refused, and then nothing is changed; a cluster whose
 * pools change meanwhile may have got a part, and the same import goes on from there.
 *
 * @throws CniError
 */
export async function importInto(
  place: StorePlace,
  addresses: readonly ImportedAddress[],
  { isAcross, isOfNode }: Origin,
  scope: Scope,
): Promise<Taken> {
  if (addresses.length === 0) {
    return { added: 0, present: 0 };
  }
  const store = openDatastore(place, scope);
  if (place.kind === 'file') {
    const whole = addresses.map(withoutNode);
    return store.add(rangesOf(whole), (pools) => planImport(whole, pools, isAcross));
  }
  addresses.forEach(refuseUnwritable);
  const held = (await store.pools()).flatMap((pool) => pool.held);
  planImport(addresses, new LoadedPools(held), isAcross);
  const taken: Taken[] = [];
  for (const { part, protectOverlaps } of partsOf(addresses)) {
    const owners = part.map(({ entry }) => entry).filter(isOfNode);
    const plan: Parameters<typeof store.add<Taken>>[1] = (pools) => planImport(part, pools, isAcross);
    taken.push(await store.add(rangesOf(part), plan, { owners, protectOverlaps }));
  }
  return {
    added: taken.reduce((sum, { added }) => sum + added, 0),
    present: taken.reduce((sum, { present }) => sum + present, 0),
  };
}

/** A node's own store has no slices: theirs are ranges like others. */
const withoutNode = (one: ImportedAddress): ImportedAddress => ({ ...one, range: formatCidr(storedRange(one.range)) });

const rangesOf = (addresses: readonly ImportedAddress[]): readonly string[] => [
  ...new Set(addresses.map(({ range }) => range)),
];

/** An address that two ranges hold can be kept from all ranges for one of them only. */
function partsOf(addresses: readonly ImportedAddress[]) {
  const seen = new Set<string>();
  const [first, again]: [ImportedAddress[], ImportedAddress[]] = [[], []];
  for (const one of addresses) {
    const text = formatIp(one.ip);
    (seen.has(text) ? again : first).push(one);
    seen.add(text);
  }
  return [
    ...chunksOf(first).map((part) => ({ part, protectOverlaps: true })),
    ...chunksOf(again).map((part) => ({ part, protectOverlaps: false })),
  ];
}

const chunksOf = <T>(all: readonly T[]): readonly (readonly T[])[] =>
  Array.from({ length: Math.ceil(all.length / AT_ONCE) }, (_, at) => all.slice(at * AT_ONCE, (at + 1) * AT_ONCE));

/** @throws CniError for an address that no other plugin could read: it would be lost, and given twice */
function refuseUnwritable({ range, ip, entry }: ImportedAddress): void {
  if (ip.value - storedRange(range).ip.value > LARGEST_KEY) {
    const why = 'it is too far from the beginning of its range for the pools of a cluster';
    throw new CniError('internal', `cannot import ${formatIp(ip)} of container ${entry.id}: ${why}`);
  }
}

/** Containers that this node has records of, and their pods; '' where that is not known. */
export async function containersHere(scope: Scope): Promise<ReadonlyMap<string, string>> {
  const pods = new Map<string, string>();
  try {
    const { records } = await readNode(scope, { confDir: CONF_FOLDER, cacheDir: CACHE_FOLDER });
    for (const { containerId, pod } of records) {
      pods.set(containerId, pods.get(containerId) || pod);
    }
  } catch (error) {
    scope.log(`${messageOf(error)}: containers of this node are not known`);
  }
  return pods;
}

/** The same address with the pod of its container: who cleans up in a cluster leaves alone what names none. */
export function withPod(one: ImportedAddress, pods: ReadonlyMap<string, string>): ImportedAddress {
  const podref = one.entry.podref || pods.get(one.entry.id) || '';
  return { ...one, entry: { ...one.entry, podref } };
}
