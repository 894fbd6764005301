import { readConf } from '../../../lib/cni/config.ts';
import type { JsonObject } from '../../../lib/cni/json.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import { fakeScope } from '../../../lib/cni/testing/fake-scope.ts';
import { formatIp, type Ip, parseIp } from '../../../lib/net/ip.ts';
import type { JournalCalls } from '../../../lib/sys/journal.ts';
import { IpamConf } from '../config.ts';
import { type FileStore, openFileStore, type StoreHost } from '../file-store.ts';
import type { Owner } from '../plan.ts';
import type { Entry } from '../pool.ts';
import { type ConfiguredRange, readRanges } from '../ranges.ts';
import { EMPTY_SNAPSHOT } from '../snapshot.ts';
import { formatRecord, replay, type State } from '../state.ts';

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

/** A state that holds, for each range, these entries by key. */
export function stateOf(pools: Readonly<Record<string, Readonly<Record<string, string>>>>): State {
  const ops = Object.entries(pools).flatMap(([range, entries]) =>
    Object.entries(entries).map(([k, text]) => ({ range, op: 'add', k, v: entry(text) }) as const),
  );
  return replay(EMPTY_SNAPSHOT, [formatRecord(1, ops)]);
}

/** A host on which every lock is free. */
export function storeHost(): Scope & { readonly lines: string[] } {
  const lines: string[] = [];
  return Object.assign(fakeScope({ log: (line) => lines.push(line), sleep: async () => undefined }), { lines });
}

export const storeIn = (dataDir: string, host: StoreHost = storeHost(), calls?: JournalCalls): FileStore =>
  openFileStore({ dataDir, networkName: '' }, host, calls);

/** Reserves and gives the addresses as text. */
export async function reserved(
  store: FileStore,
  who: string,
  ranges: readonly ConfiguredRange[],
  protectOverlaps = true,
): Promise<readonly string[]> {
  const [outcome] = await store.reserve([{ owner: owner(who), ranges, protectOverlaps }]);
  if (outcome?.status !== 'fulfilled') {
    throw outcome?.reason;
  }
  return outcome.value.map(formatIp);
}
