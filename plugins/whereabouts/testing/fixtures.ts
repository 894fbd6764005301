import { readConf } from '../../../lib/cni/config.ts';
import type { JsonObject } from '../../../lib/cni/json.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import { fakeScope } from '../../../lib/cni/testing/fake-scope.ts';
import { formatIp, type Ip, parseIp } from '../../../lib/net/ip.ts';
import { BLOCKING_DISK, type Disk } from '../../../lib/sys/disk.ts';
import { Shared, type Slot } from '../../../lib/sys/shared.ts';
import { IpamConf } from '../config.ts';
import { type Datastore, openDatastore } from '../datastore.ts';
import { LoadedPools } from '../loaded-pools.ts';
import { addressOf, storedRange } from '../names.ts';
import type { Owner } from '../plan.ts';
import type { Entry } from '../pool.ts';
import { type ConfiguredRange, readRanges } from '../ranges.ts';
import type { Requested } from '../requested.ts';

export const ip = (text: string): Ip => parseIp(text) as Ip;

export const ipam = (keys: JsonObject): IpamConf => readConf(IpamConf, { type: 'whereabouts', ...keys }, 'ipam');

/** Ranges as a configuration writes them: a string is `{ range }`. */
export const rangesOf = (...items: readonly (string | JsonObject)[]): readonly ConfiguredRange[] =>
  readRanges(ipam({ ipRanges: items.map((item) => (typeof item === 'string' ? { range: item } : item)) }));

/** `a/b net1 idA`: pod, interface, container; the pod may be '-'. */
export function owner(text: string): Owner {
  const [pod = '', ifname = '', id = ''] = text.split(' ');
  return { id, podref: pod === '-' ? '' : pod, ifname, network: 'net-a' };
}

export const entry = (text: string): Entry => owner(text);

/** Addresses that CNI_ARGS ask for. */
export const requested = (...texts: readonly string[]): readonly Requested[] =>
  texts.map((text) => ({ ip: ip(text), source: 'IP of CNI_ARGS' }));

/** Pools that hold, for each range, these entries by key. */
export const poolsWith = (pools: Readonly<Record<string, Readonly<Record<string, string>>>>): LoadedPools =>
  new LoadedPools(
    Object.entries(pools).flatMap(([range, entries]) =>
      Object.entries(entries).map(([key, text]) => ({
        range,
        ip: addressOf(storedRange(range), key) as Ip,
        entry: entry(text),
      })),
    ),
  );

/**
 * A call in a process of its own. Disposing of it closes what that has open, as its end would.
 *
 * @param disk absent: the process serves this call alone
 * @param sleep called for each wait, which passes only fake time
 */
export function storeHost(
  disk: Disk = BLOCKING_DISK,
  sleep: (ms: number) => void | Promise<void> = () => undefined,
): Scope & Disposable & { readonly lines: string[] } {
  const lines: string[] = [];
  const shared = new Shared();
  const node = { shared: <T extends Disposable>(slot: Slot<T>) => shared.get(slot), disk };
  const scope = fakeScope({ node, log: (line) => lines.push(line), sleep });
  return Object.assign(scope, { lines, [Symbol.dispose]: () => shared[Symbol.dispose]() });
}

export const storeIn = (dataDir: string, scope: Scope = storeHost(), networkName = ''): Datastore =>
  openDatastore({ kind: 'file', dataDir, networkName }, scope);

/** Reserves and gives the addresses as text. */
export const reserved = async (
  store: Datastore | undefined,
  who: string,
  ranges: readonly ConfiguredRange[],
  protectOverlaps = true,
): Promise<readonly string[]> => {
  const given = await store?.reserve({ owner: owner(who), ranges, protectOverlaps });
  await given?.durable;
  return (given?.ips ?? []).map(formatIp);
};
