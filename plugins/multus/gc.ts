import type { NetworkCall, Attachment as Valid } from '../../lib/cni/call.ts';
import { asCniError, CODES, combined, messageOf, within } from '../../lib/cni/errors.ts';
import { gcNetwork, type RuntimeConf } from '../../lib/cni/network.ts';
import { recordName } from '../../lib/cni/record-name.ts';
import { type CacheListing, listCached } from '../../lib/cni/result-cache.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { isShortage } from '../../lib/sys/io-error.ts';
import { type Attachment, attachmentsOf, detachAll, sharedRuntime } from './attachments.ts';
import { cniDirOf, type MultusConf } from './config.ts';
import { lockContainer } from './container-lock.ts';
import { type Log, logged } from './log.ts';
import { interfaceNames, possibleNames } from './names.ts';
import { loadNetworks } from './networks.ts';
import { recallAttachments, recalledRuntime, withOthers } from './recall.ts';
import { NO_POD } from './runtime-args.ts';
import { readStored, removeScratch, type StoredDelegate, scratchNames } from './scratch.ts';
import { sweep } from './sweep.ts';

/** A container whose first interface is not recorded anywhere: what every runtime calls it. */
const USUAL_NAME = 'eth0';

/**
 * Deletes what is left of containers that the runtime does not name, then tells every configured delegate which
 * attachments of its network are valid. A runtime that names nothing at all collects nothing.
 */
export const gc = (call: NetworkCall<MultusConf>, scope: Scope, valid: readonly Valid[] | undefined): Promise<void> =>
  logged(call.conf, scope.log, async (log) => {
    const listing = listCached(cniDirOf(call.conf));
    for (const { why } of listing.faults) {
      log.error(why.message);
    }
    const memory: Memory = { listing, shared: sharedRuntime(call, call.conf), version: call.version, log };
    const errors: unknown[] = [];
    for (const containerId of valid === undefined ? [] : deadContainers(memory, valid)) {
      errors.push(...(await collect(containerId, scope, memory)));
    }
    try {
      const loading = { namespace: '', prefix: 'Multus', notReady: 'tryAgainLater' as const };
      const networks = await loadNetworks(call, scope, log, loading);
      errors.push(...(valid === undefined ? [] : await sweep(scope, { ...memory, networks }, valid)));
      errors.push(...(await forward(scope, networks, memory, valid)));
    } catch (error) {
      errors.push(error);
    }
    const failure = combined(errors, ' / ');
    if (failure !== undefined) {
      throw within('errors', failure);
    }
  });

interface Memory {
  readonly listing: CacheListing;
  readonly shared: RuntimeConf;
  readonly version: string;
  readonly log: Log;
}

/** A file that is no scratch file, or not any more, is left alone unless the cache knows a container of that name. */
function deadContainers(memory: Memory, valid: readonly Valid[]): readonly string[] {
  const alive = new Set(valid.map(({ containerID }) => containerID));
  const scratches = scratchNames(memory.shared.cacheDir).filter(
    (name) => !alive.has(name) && storedFor(name, memory).length > 0,
  );
  const known = new Set([...scratches, ...memory.listing.attachments.map(({ containerId }) => containerId)]);
  return [...known].filter((containerId) => !alive.has(containerId));
}

async function collect(containerId: string, scope: Scope, memory: Memory): Promise<readonly unknown[]> {
  const errors: unknown[] = [];
  try {
    using _lock = await lockContainer(scope, memory.shared.cacheDir, containerId, 0);
    const attachments = attachedTo(containerId, memory);
    memory.log.verbose(() => `Gc: ${containerId}: ${attachments.map(({ list }) => list.name).join(' ')}`);
    errors.push(...(await detachAll(scope, attachments)).map(({ error }) => error));
    if (errors.length === 0) {
      removeScratch(memory.shared.cacheDir, containerId);
    }
  } catch (error) {
    if (asCniError(error).code === CODES.tryAgainLater && errors.length === 0) {
      memory.log.verbose(() => `Gc: ${containerId} is left: ${messageOf(error)}`); // its ADD or DEL is on its way
      return [];
    }
    errors.push(error);
  }
  return errors.map((error) => within(`failed to delete stale container ${containerId}`, error));
}

/** From the scratch file, with what the result cache knows of each, and whatever else the cache has. */
function attachedTo(containerId: string, memory: Memory): readonly Attachment[] {
  const { shared, version } = memory;
  const records = memory.listing.attachments.filter((record) => record.containerId === containerId);
  const stored = storedFor(containerId, memory);
  const ifName = records.find(({ network }) => network === stored[0]?.list.name)?.ifName ?? USUAL_NAME;
  const pod = { pod: NO_POD, cniArgs: '', supplied: undefined };
  const fromScratch = attachmentsOf(stored, { ...shared, containerId, ifName }, pod).map((attachment) => {
    const record = records.find(
      ({ network, ifName }) => network === attachment.list.name && ifName === attachment.runtime.ifName,
    );
    return record ? { ...attachment, runtime: recalledRuntime(record, shared) } : attachment;
  });
  return withOthers(fromScratch, recallAttachments(records, shared, version).attachments);
}

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
      errors.push(within(`error collecting in network ${JSON.stringify(list.name)}`, error));
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
    const stored = storedFor(containerID, memory);
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

/** @throws CniError when the file cannot be read for now; one that never can tells nothing */
function storedFor(containerId: string, { shared, version, log }: Memory): readonly StoredDelegate[] {
  try {
    return readStored(shared.cacheDir, containerId, version) ?? [];
  } catch (error) {
    if (isShortage(error)) {
      throw error;
    }
    log.error(`container ${containerId}: ${messageOf(error)}`);
    return [];
  }
}
