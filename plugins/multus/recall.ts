import { messageOf } from '../../lib/cni/errors.ts';
import type { RuntimeConf } from '../../lib/cni/network.ts';
import type { CachedAttachment } from '../../lib/cni/result-cache.ts';
import type { Attachment } from './attachments.ts';
import { recallDelegate } from './delegates.ts';
import type { Log } from './log.ts';

/**
 * Attachments as the result cache remembers them, in the order of their ADDs. A record that cannot be used is logged
 * and left out.
 *
 * @param cniVersion for lists that name none
 */
export function recallAttachments(
  cached: readonly CachedAttachment[],
  shared: RuntimeConf,
  cniVersion: string,
  log: Log,
): readonly Attachment[] {
  return cached.flatMap((record) => {
    try {
      const { name, list } = recallDelegate(record.config, cniVersion);
      return [{ name, list: { ...list, name: record.network || list.name }, runtime: recalledRuntime(record, shared) }];
    } catch (error) {
      const where = `${record.network}-${record.containerId}-${record.ifName}`;
      log.error(`cannot use cached result "${where}": ${messageOf(error)}`);
      return [];
    }
  });
}

/** What the network was run with. The namespace is the caller's if it names one. */
export function recalledRuntime(record: CachedAttachment, shared: RuntimeConf): RuntimeConf {
  const { containerId, ifName, args, capabilityArgs } = record;
  return { ...shared, containerId, ifName, args, capabilityArgs, netns: shared.netns || lastingPath(record.netns) };
}

/** A path through /proc means another namespace once the process is gone and its number given to another. */
const lastingPath = (netns: string): string => (netns.startsWith('/proc/') ? '' : netns);

/** The attachments that `known` does not have, put after it. */
export function withOthers(known: readonly Attachment[], others: readonly Attachment[]): readonly Attachment[] {
  const taken = new Set(known.map(keyOf));
  return [...known, ...others.filter((attachment) => !taken.has(keyOf(attachment)))];
}

const keyOf = ({ list, runtime }: Attachment): string => `${list.name} ${runtime.ifName}`;
