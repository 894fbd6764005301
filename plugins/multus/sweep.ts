import { existsSync } from 'node:fs';
import type { Attachment as Valid } from '../../lib/cni/call.ts';
import { withPrefix } from '../../lib/cni/errors.ts';
import type { RuntimeConf } from '../../lib/cni/network.ts';
import { identifierFault } from '../../lib/cni/read-call.ts';
import { type CacheFault, type CacheListing, removeCacheFile } from '../../lib/cni/result-cache.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { type Attachment, detachAll } from './attachments.ts';
import type { Log } from './log.ts';
import { attachmentNamed, recallAttachments } from './recall.ts';
import { NO_POD } from './runtime-args.ts';
import type { StoredDelegate } from './scratch-form.ts';

/** What is known while results that cannot be used are swept. */
export interface Sweeping {
  readonly listing: CacheListing;
  readonly shared: RuntimeConf;
  /** for lists that name none */
  readonly version: string;
  readonly log: Log;
  /** those of the configuration */
  readonly networks: readonly StoredDelegate[];
}

/**
 * Deletes what results of dead containers are about that do not tell themselves, as far as their names lead to a
 * configured network, and removes those that never will tell. Others are left.
 *
 * @returns what failed
 */
export async function sweep(scope: Scope, sweeping: Sweeping, valid: readonly Valid[]): Promise<readonly unknown[]> {
  const { listing, shared, version, log } = sweeping;
  const errors: unknown[] = [];
  for (const fault of [...listing.faults, ...recallAttachments(listing.attachments, shared, version).faults]) {
    const isAlive = valid.some(({ containerID }) => fault.name.includes(`-${containerID}-`));
    if (isAlive || !existsSync(fault.file)) {
      continue;
    }
    const attachment = attachmentOf(fault, sweeping);
    const failed = attachment === undefined ? [] : await detachAll(scope, [attachment]);
    errors.push(...failed.map(({ error }) => withPrefix(`failed to delete what "${fault.file}" is about`, error)));
    if (fault.isDamaged && failed.length === 0) {
      log.verbose(() => `Gc: removed "${fault.file}"`);
      removeCacheFile(fault.file);
    }
  }
  return errors;
}

/** Where the content does not say which container it is, the name is taken apart at its last dash. */
function attachmentOf(fault: CacheFault, { shared, networks }: Sweeping): Attachment | undefined {
  const pod = { pod: NO_POD, cniArgs: '', supplied: undefined };
  if (fault.containerId !== undefined) {
    return attachmentNamed(fault, networks, { shared: { ...shared, containerId: fault.containerId }, pod });
  }
  const longestFirst = networks.toSorted((a, b) => b.list.name.length - a.list.name.length);
  const network = longestFirst.find(({ list }) => fault.name.startsWith(`${list.name}-`));
  if (network === undefined || !fault.isDamaged) {
    return undefined;
  }
  const containerId = fault.name.slice(network.list.name.length + 1, fault.name.lastIndexOf('-'));
  return identifierFault(containerId) === undefined
    ? attachmentNamed(fault, [network], { shared: { ...shared, containerId }, pod })
    : undefined;
}
