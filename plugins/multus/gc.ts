import { existsSync } from 'node:fs';
import type { NetworkCall, Attachment as Valid } from '../../lib/cni/call.ts';
import { combineErrors, withPrefix } from '../../lib/cni/errors.ts';
import { gcNetwork } from '../../lib/cni/network.ts';
import { recordName } from '../../lib/cni/record-name.ts';
import { listCached } from '../../lib/cni/result-cache.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { lockForRelease } from '../../lib/sys/lock.ts';
import { sharedRuntime } from './attachments.ts';
import { collectDead, type Memory, storedFor } from './collect.ts';
import type { MultusConf } from './config.ts';
import { lockCollection } from './container-lock.ts';
import { isOurselves } from './delegates.ts';
import { withCallLog } from './log.ts';
import { interfaceNames, possibleNames } from './names.ts';
import { type Loading, loadNetworks } from './networks.ts';
import { cniDirOf } from './places.ts';
import type { StoredDelegate } from './scratch-form.ts';
import { sweep } from './sweep.ts';

/**
 * Deletes what is left of containers that the runtime does not name, then tells every network which of its attachments
 * are valid: those of the configuration, and those that living containers have. A runtime that names nothing at all
 * collects nothing.
 */
export const gc = (call: NetworkCall<MultusConf>, scope: Scope, valid: readonly Valid[] | undefined): Promise<void> =>
  withCallLog(call.conf, scope.log, async (log) => {
    const cniDir = cniDirOf(call.conf);
    const listing = listCached(cniDir);
    for (const { why } of listing.faults) {
      log.error(why.message);
    }
    const before: Memory = { listing, shared: sharedRuntime(call, call.conf), version: call.version, log };
    const errors: unknown[] = [];
    errors.push(...(valid === undefined ? [] : await collectDead(scope, before, valid)));
    const configured: StoredDelegate[] = [];
    try {
      const loading: Loading = { call, scope, log, prefix: 'Multus', notReady: 'tryAgainLater' };
      configured.push(...(await loadNetworks(loading, '')));
    } catch (error) {
      errors.push(error);
    }
    try {
      using _lock = existsSync(cniDir)
        ? await lockForRelease(scope.log, () => lockCollection(scope, cniDir, { isShared: false }))
        : undefined;
      const memory: Memory = { ...before, listing: listCached(cniDir) };
      const networks = [...configured, ...remembered(configured, memory, valid ?? [])];
      errors.push(...(valid === undefined ? [] : await sweep(scope, { ...memory, networks }, valid)));
      errors.push(...(await forward(scope, { configured, networks, memory, valid })));
    } catch (error) {
      errors.push(error);
    }
    const failure = combineErrors(errors, ' / ');
    if (failure !== undefined) {
      throw withPrefix('errors', failure);
    }
  });

/**
 * Networks of living containers that the configuration does not name: pods have asked for them.
 *
 * @throws CniError when the records cannot be read for now
 */
function remembered(
  configured: readonly StoredDelegate[],
  memory: Memory,
  valid: readonly Valid[],
): readonly StoredDelegate[] {
  const known = new Set(configured.map(contentOf));
  const others = new Map<string, StoredDelegate>();
  for (const { containerID } of valid) {
    for (const delegate of storedFor(containerID, memory).delegates) {
      if (!known.has(contentOf(delegate)) && !isOurselves(delegate.list)) {
        others.set(contentOf(delegate), delegate);
      }
    }
  }
  return [...others.values()];
}

/** Two definitions may have one name, and say different things. A device is of one pod only. */
const contentOf = ({ list }: StoredDelegate): string =>
  JSON.stringify([list.name, list.plugins.map(({ document: { deviceID: _, pciBusID: __, ...shared } }) => shared)]);

interface Forwarding {
  readonly configured: readonly StoredDelegate[];
  /** those too */
  readonly networks: readonly StoredDelegate[];
  readonly memory: Memory;
  /** undefined when the runtime named none, and then nothing is said of any */
  readonly valid: readonly Valid[] | undefined;
}

async function forward(scope: Scope, forwarding: Forwarding): Promise<readonly unknown[]> {
  const { networks, memory, valid } = forwarding;
  const alive = valid && validByNetwork(forwarding, valid);
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
 * until it dies; one too few would take the address of a running pod. A container without a scratch file may be added while
 * we collect, with other networks than are configured here: then each of them may have any name there, whatever results
 * are left of a DEL that ended while we read.
 *
 * @throws CniError when the records cannot be read for now
 */
function validByNetwork({ configured, networks, memory }: Forwarding, valid: readonly Valid[]) {
  const found = new Map<string, Map<string, Valid>>();
  const note = (network: string, containerID: string, ifname: string): void => {
    const known = found.get(network) ?? new Map<string, Valid>();
    found.set(network, known.set(`${containerID} ${ifname}`, { containerID, ifname }));
  };
  for (const { containerID, ifname } of valid) {
    const stored = storedFor(containerID, memory).delegates;
    if (stored.length === 0) {
      for (const { list } of networks) {
        for (const name of possibleNames(ifname)) {
          note(list.name, containerID, name);
        }
      }
    }
    for (const known of [configured, stored]) {
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
