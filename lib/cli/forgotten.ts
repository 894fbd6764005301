import { lstatSync } from 'node:fs';
import { messageOf } from '../cni/errors.ts';
import type { AttachmentRecord } from '../cni/records.ts';
import { type Scope, scopeWith } from '../cni/scope.ts';
import { type Collecting, collectAll } from './collect.ts';
import { sandboxesOf } from './cri.ts';
import { isOfCri } from './liveness.ts';
import { pathsOf } from './located.ts';
import { type Node, readNode } from './node.ts';

/** What is known of the containers that are recorded. */
export interface Known {
  readonly records: readonly AttachmentRecord[];
  /** IDs of the sandboxes that runtimes have; undefined without a runtime */
  readonly sandboxes: ReadonlySet<string> | undefined;
  isGone(record: AttachmentRecord): boolean;
  /** Whether anything has that name. */
  isNamed(path: string): boolean;
}

/**
 * Takes back what containers hold for which nobody will ask any more: their runtime has forgotten them. Without a
 * runtime's word, nothing.
 *
 * @param cri as for `sandboxesOf`
 * @returns IDs of those that hold nothing any more
 */
export async function collectForgotten(collecting: Collecting, cri: string): Promise<readonly string[]> {
  const { scope, places } = collecting;
  const { records, isGone } = await readNode(quiet(scope), places);
  if (records.length === 0) {
    return [];
  }
  const sandboxes = await askRuntimes(scope, cri);
  const ids = forgottenIn({ records, sandboxes, isGone, isNamed });
  const failures = await collectAll({ ...collecting, scope: quiet(scope) }, containersIn({ records }, ids));
  for (const failure of [...failures.values()].flat()) {
    scope.log(failure);
  }
  return ids.filter((id) => !failures.has(id));
}

/**
 * A runtime names a sandbox when its ADD has ended, but removes the file that names its namespace only after DEL. Where
 * mounts of the node are not to be seen, as in a container, that file is all there is.
 */
export function forgottenIn({ records, sandboxes, isGone, isNamed }: Known): readonly string[] {
  if (sandboxes === undefined) {
    return [];
  }
  const groups = [...Map.groupBy(records, ({ containerId }) => containerId)];
  return groups.flatMap(([id, own]) => {
    const isForgotten =
      !sandboxes.has(id) && isOfCri(id, pathsOf(own)) && own.every(isGone) && !pathsOf(own).some(isNamed);
    return isForgotten ? [id] : [];
  });
}

const containersIn = ({ records }: Pick<Node, 'records'>, ids: readonly string[]) =>
  ids.map((containerId) => ({
    containerId,
    records: records.filter((record) => record.containerId === containerId),
    state: 'dead' as const,
    reason: 'the runtime does not know it, and its namespace is gone',
  }));

/** undefined: there is none, or it cannot say. */
async function askRuntimes(scope: Scope, cri: string): Promise<ReadonlySet<string> | undefined> {
  try {
    return await sandboxesOf(cri);
  } catch (error) {
    scope.log(`cannot ask the container runtime which pods are gone: ${messageOf(error)}`);
    return undefined;
  }
}

const isNamed = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

const quiet = (scope: Scope): Scope => scopeWith(scope, () => ({ log: () => undefined }));
