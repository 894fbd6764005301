import { statSync } from 'node:fs';
import { messageOf } from '../cni/errors.ts';
import { isObject, type Json, type JsonObject, lookUp } from '../cni/json.ts';
import type { AttachmentRecord } from '../cni/records.ts';
import { type ListedAttachment, listCached } from '../cni/result-cache.ts';

/** libcni's, or multus', cached record of an attachment. */
export type CachedRecord = Omit<AttachmentRecord, 'release'>;

export interface CachedRecords {
  readonly records: readonly CachedRecord[];
  /** errors of unreadable files */
  readonly faults: readonly string[];
}

/** The attachments in a result cache. An unreadable folder is one of the faults. */
export function cachedRecords(cacheDir: string): CachedRecords {
  try {
    const { attachments, faults } = listCached(cacheDir);
    return { records: attachments.map(recordOf), faults: faults.map(({ why }) => why.message) };
  } catch (error) {
    return { records: [], faults: [messageOf(error)] };
  }
}

function recordOf(attachment: ListedAttachment): CachedRecord {
  const { network, containerId, ifName, netns, args, result, file: place } = attachment;
  const argument = (key: string): string => args.find(([name]) => name === key)?.[1] ?? '';
  const pod = argument('K8S_POD_NAME');
  const list = documentIn(attachment.config);
  return {
    network,
    containerId,
    ifName,
    netns,
    pod: pod === '' ? '' : `${argument('K8S_POD_NAMESPACE')}/${pod}`,
    addresses: result === undefined ? [] : addressesIn(result),
    device: '',
    sinceMs: statSync(place, { throwIfNoEntry: false })?.mtimeMs,
    place,
    ...(list === undefined ? {} : { list }),
  };
}

function documentIn(config: Buffer): JsonObject | undefined {
  try {
    const document: unknown = JSON.parse(config.toString('utf8'));
    return isObject(document) ? document : undefined;
  } catch {
    return undefined;
  }
}

/** In any version: before 0.3.0 there is one for each family. */
function addressesIn(result: JsonObject): readonly string[] {
  const ips = lookUp(result, 'ips');
  const old = ['ip4', 'ip6'].map((key) => lookUp(result, key));
  const entries = Array.isArray(ips) ? (ips as readonly Json[]) : old;
  return entries.flatMap((entry) => {
    const address = isObject(entry) ? (lookUp(entry, 'address') ?? lookUp(entry, 'ip')) : undefined;
    return typeof address === 'string' ? [address] : [];
  });
}
