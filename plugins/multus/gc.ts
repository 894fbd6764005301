import type { NetworkCall, Attachment as Valid } from '../../lib/cni/call.ts';
import { combineErrors, withPrefix } from '../../lib/cni/errors.ts';
import { gcNetwork } from '../../lib/cni/network.ts';
import { recordName } from '../../lib/cni/record-name.ts';
import { listCached } from '../../lib/cni/result-cache.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { sharedRuntime } from './attachments.ts';
import { collectDead, type Memory, storedFor } from './collect.ts';
import type { MultusConf } from './config.ts';
import { withCallLog } from './log.ts';
import { interfaceNames, possibleNames } from './names.ts';
import { loadNetworks } from './networks.ts';
import { cniDirOf } from './places.ts';
import type { StoredDelegate } from './scratch-form.ts';
import { sweep } from './sweep.ts';

/**
 * Deletes what is left of containers that the runtime does not name, then tells every configured delegate which
 * attachments of its network are valid. A runtime that names nothing at all collects nothing.
 */
export const gc = (call: NetworkCall<MultusConf>, scope: Scope, valid: readonly Valid[] | undefined): Promise<void> =>
  withCallLog(call.conf, scope.log, async (log) => {
    const listing = listCached(cniDirOf(call.conf));
    for (const { why } of listing.faults) {
      log.error(why.message);
    }
    const memory: Memory = { listing, shared: sharedRuntime(call, call.conf), version: call.version, log };
    const errors: unknown[] = [];
    errors.push(...(valid === undefined ? [] : await collectDead(scope, memory, valid)));
    try {
      const loading = { call, scope, log, prefix: 'Multus', notReady: 'tryAgainLater' as const };
      const networks = await loadNetworks(loading, '');
      errors.push(...(valid === undefined ? [] : await sweep(scope, { ...memory, networks }, valid)));
      errors.push(...(await forward(scope, networks, memory, valid)));
    } catch (error) {
      errors.push(error);
    }
    const failure = combineErrors(errors, ' / ');
    if (failure !== undefined) {
      throw withPrefix('errors', failure);
    }
  });

/** @param valid undefined when the runtime named none, and then nothing is said of any */
async function forward(
  scope: Scope,
  networks: readonly StoredDelegate[],
  memory: Memory,
  valid: readonly Valid[] | undefined,
): Promise<readonly unknown[]> {
  const alive = valid && validByNetwork(networks, memory, valid);
  const errors: unknown[] = [];
  for (const { list } of networks) {
    try {
      await gcNetwork(scope, list, memory.shared, alive && [...(alive.get(list.name)?.values() ?? [])]);
    } catch (error) {
      errors.push(withPrefix(`error collecting in network ${JSON.stringify(list.name)}`, error));
    }
  }
  return errors;
}

/**
 * The attachments of live containers, by network: as configured, as stored, as cached. One too many keeps a leftover
 * until it dies; one too few would take the address of a running pod. A container that is not recorded may be added while
 * we collect, with other networks than are configured here: then each of them may have any name there.
 *
 * @throws CniError when the records cannot be read for now
 */
function validByNetwork(networks: readonly StoredDelegate[], memory: Memory, valid: readonly Valid[]) {
  const found = new Map<string, Map<string, Valid>>();
  const note = (network: string, containerID: string, ifname: string): void => {
    const known = found.get(network) ?? new Map<string, Valid>();
    found.set(network, known.set(`${containerID} ${ifname}`, { containerID, ifname }));
  };
  const cached = new Set(memory.listing.attachments.map(({ containerId }) => containerId));
  for (const { containerID, ifname } of valid) {
    const stored = storedFor(containerID, memory).delegates;
    if (stored.length === 0 && !cached.has(containerID)) {
      for (const { list } of networks) {
        for (const name of possibleNames(ifname)) {
          note(list.name, containerID, name);
        }
      }
    }
    for (const known of [networks, stored]) {
      const requested = known.map(({ requests }) => requests.ifName);
      for (const [index, name] of interfaceNames(requested, ifname).entries()) {
        note(known[index]?.list.name ?? '', containerID, name);
      }
    }
    for (const { list } of networks) {
      for (const name of interfacesInFaults(list.name, containerID, memory)) {
        note(list.name, containerID, name);
      }
    }
  }
  const alive = new Set(valid.map(({ containerID }) => containerID));
  for (const { network, containerId, ifName } of memory.listing.attachments) {
    if (alive.has(containerId)) {
      note(network, containerId, ifName);
    }
  }
  return found;
}

/** What names of results tell whose content cannot be used. */
function interfacesInFaults(network: string, containerId: string, { listing }: Memory): readonly string[] {
  const start = `${recordName({ network, containerId })}-`;
  return listing.faults.filter(({ name }) => name.startsWith(start)).map(({ name }) => name.slice(start.length));
}
