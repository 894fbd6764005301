import { asCniError, CniError, messageOf, withPrefix } from '../../lib/cni/errors.ts';
import type { RuntimeConf } from '../../lib/cni/network.ts';
import { recordName } from '../../lib/cni/record-name.ts';
import {
  type CachedAttachment,
  type CacheFault,
  type ListedAttachment,
  listCached,
} from '../../lib/cni/result-cache.ts';
import { ifNameFault } from '../../lib/net/if-name.ts';
import { isShortage } from '../../lib/sys/io-error.ts';
import { type Attachment, attachmentsOf, type PodFacts } from './attachments.ts';
import { isOurselves, recallDelegate } from './delegates.ts';
import type { Log } from './log.ts';
import type { PodRecord } from './pod-record.ts';
import { readStored, scratchesIn } from './scratch.ts';
import type { StoredDelegate } from './scratch-form.ts';

/** What DEL finds out about a container. */
export interface Recollection {
  /** in the order of their ADDs */
  readonly attachments: readonly Attachment[];
  /** why it cannot be said that these are all */
  readonly doubts: readonly CniError[];
  /** where the scratch file says the container is */
  readonly pod?: PodRecord | undefined;
}

/** What a container is recalled with. */
export interface Recalling {
  readonly shared: RuntimeConf;
  readonly pod: PodFacts;
  /** for lists that name none */
  readonly cniVersion: string;
  readonly log: Log;
  /** where the runtime keeps what it has attached itself */
  readonly runtimeCache: string;
  /** the networks of the configuration: asked for where records do not tell */
  readonly configured: () => Promise<readonly StoredDelegate[]>;
}

/**
 * What a container has: as the scratch file says, or without it as the result cache says. A scratch file that cannot be
 * used means the result cache and the configured networks; a result that cannot be used, the configured network that its
 * file is named after.
 *
 * @throws CniError when the records cannot be read for now, or the result cache not at all
 */
export async function recallAll(recalling: Recalling): Promise<Recollection> {
  const { shared, pod, cniVersion, log } = recalling;
  const { cacheDir, containerId } = shared;
  let damage: CniError | undefined;
  try {
    const stored = readStored(cacheDir, containerId, cniVersion);
    if (stored !== undefined) {
      return { attachments: attachmentsOf(stored.delegates, shared, pod), doubts: [], pod: stored.pod };
    }
  } catch (error) {
    if (isShortage(error)) {
      throw error;
    }
    damage = asCniError(error);
    log.error(`${damage.message}: using the result cache and the configured networks instead`);
  }
  const { attachments, faults } = recallCached(containerId, recalling);
  if (damage !== undefined || faults.length > 0) {
    return recallConfigured({ attachments, faults, damage }, recalling);
  }
  return { attachments: attachments.length > 0 ? attachments : recallEarlier(recalling), doubts: [] };
}

/**
 * What a runtime attached before multus was there: it tells multus of the deletion, as it knows no other network any more,
 * and still has the record of the one that it called then. Nobody else would give its address back.
 */
function recallEarlier({ shared, cniVersion, log, runtimeCache }: Recalling): readonly Attachment[] {
  const { attachments: listed } = listCached(runtimeCache, shared.containerId);
  const { attachments } = recallAttachments(listed, { ...shared, cacheDir: runtimeCache }, cniVersion);
  const earlier = attachments.filter(
    ({ list, runtime }) => runtime.ifName === shared.ifName && !isOurselves(list), // neither the loopback nor this call
  );
  for (const { list, runtime } of earlier) {
    log.verbose(() => `attached by the runtime before multus was: ${list.name} ${runtime.ifName}`);
  }
  return earlier;
}

interface Incomplete {
  readonly attachments: readonly Attachment[];
  readonly faults: readonly CacheFault[];
  /** of the scratch file */
  readonly damage: CniError | undefined;
}

async function recallConfigured(
  { attachments: cached, faults, damage }: Incomplete,
  { shared, pod, log, configured }: Recalling,
): Promise<Recollection> {
  const { networks, refusal } = await tried(configured, log);
  const named = faults.flatMap((fault) => attachmentNamed(fault, networks, { shared, pod }) ?? []);
  const guessed = damage === undefined ? named : mergeAttachments(named, attachmentsOf(networks, shared, pod));
  const attachments = mergeAttachments(cached, guessed);
  const names = new Set(attachments.map(recordNameOf));
  const unknown = faults.filter(({ name }) => !names.has(name)).map((fault) => doubtOf(fault, refusal));
  const isLost = damage !== undefined && refusal !== undefined && cached.length === 0;
  return { attachments, doubts: isLost ? [...unknown, lost(damage, refusal, shared)] : unknown };
}

async function tried(configured: Recalling['configured'], log: Log) {
  try {
    return { networks: await configured(), refusal: undefined };
  } catch (error) {
    log.error(messageOf(error));
    return { networks: [], refusal: messageOf(error) };
  }
}

/** A configured network, as the name of a record has it. */
export function attachmentNamed(
  { name }: Pick<CacheFault, 'name'>,
  networks: readonly StoredDelegate[],
  { shared, pod }: Pick<Recalling, 'shared' | 'pod'>,
): Attachment | undefined {
  for (const network of networks) {
    const start = `${recordName({ network: network.list.name, containerId: shared.containerId })}-`;
    const ifName = name.slice(start.length);
    if (name.startsWith(start) && ifNameFault(ifName) === undefined) {
      return attachmentsOf([{ ...network, requests: { ...network.requests, ifName } }], shared, pod)[0];
    }
  }
  return undefined;
}

const doubtOf = ({ file, why }: CacheFault, refusal: string | undefined): CniError => {
  const because = refusal === undefined ? 'no configured network is called so' : refusal;
  const advice = `configure its network, or detach it by hand and remove "${file}"`;
  return new CniError('ioFailure', `cannot tell what to delete: ${why.message}, and ${because}; ${advice}`, {
    cause: why,
  });
};

const lost = (damage: CniError, refusal: string, { cacheDir, containerId }: RuntimeConf): CniError => {
  const advice = `repair the configuration, or detach the pod by hand and remove "${scratchesIn(cacheDir).fileOf(containerId)}"`;
  return new CniError(
    'ioFailure',
    `cannot tell what to delete: ${damage.message}, no result is recorded, and ${refusal}; ${advice}`,
    { cause: damage },
  );
};

function recallCached(containerId: string, { shared, cniVersion, log }: Recalling): Omit<Incomplete, 'damage'> {
  const listing = listCached(shared.cacheDir, containerId);
  const { attachments, faults } = recallAttachments(listing.attachments, shared, cniVersion);
  const all = [...listing.faults, ...faults];
  for (const { why } of all) {
    log.error(why.message);
  }
  return { attachments, faults: all };
}

/**
 * Attachments as the result cache remembers them, in the order of their ADDs, and the records that cannot be used.
 *
 * @param cniVersion for lists that name none
 */
export function recallAttachments(
  cached: readonly ListedAttachment[],
  shared: RuntimeConf,
  cniVersion: string,
): Omit<Incomplete, 'damage'> {
  const attachments: Attachment[] = [];
  const faults: CacheFault[] = [];
  for (const record of cached) {
    const { network, file } = record;
    try {
      const { name, list } = recallDelegate(record.config, cniVersion);
      const runtime = recalledRuntime(record, shared);
      attachments.push({ name, list: { ...list, name: network || list.name }, runtime, requests: {} });
    } catch (error) {
      const why = withPrefix(`cannot use cached result "${file}"`, error);
      faults.push({ name: recordName(record), file, why, containerId: record.containerId, isDamaged: false });
    }
  }
  return { attachments, faults };
}

/** What the network was run with. The namespace is the caller's if it names one. */
export function recalledRuntime(record: CachedAttachment, shared: RuntimeConf): RuntimeConf {
  const { containerId, ifName, args, capabilityArgs } = record;
  return { ...shared, containerId, ifName, args, capabilityArgs, netns: shared.netns || lastingPath(record.netns) };
}

/** A path through /proc means another namespace once the process is gone and its number given to another. */
const lastingPath = (netns: string): string => (netns.startsWith('/proc/') ? '' : netns);

/** The attachments that `known` does not have, put after it. */
export function mergeAttachments(known: readonly Attachment[], others: readonly Attachment[]): readonly Attachment[] {
  const taken = new Set(known.map(recordNameOf));
  return [...known, ...others.filter((attachment) => !taken.has(recordNameOf(attachment)))];
}

const recordNameOf = ({ list, runtime: { containerId, ifName } }: Attachment): string =>
  recordName({ network: list.name, containerId, ifName });
