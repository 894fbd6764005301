import { type Located, pathsOf, withoutPrefix } from './located.ts';
import type { SeenNetns } from './namespaces.ts';
import type { NodeRecord } from './node.ts';

/**
 * `live`: the runtime has it, or its namespace exists. `dead`: proved not to exist. `in-use`: its namespace is gone or
 * unknown, but one of its addresses is in use and no other attachment explains that. `suspect`: no evidence of it, as
 * happens briefly during ADD. `unclear`: not enough is recorded.
 */
export type State = 'live' | 'in-use' | 'unclear' | 'suspect' | 'dead';

export interface Liveness {
  readonly state: State;
  /** a clause */
  readonly reason: string;
}

export interface Evidence {
  /** IDs of the sandboxes that the runtime has; undefined without a runtime */
  readonly sandboxes: ReadonlySet<string> | undefined;
  readonly namespaces: readonly SeenNetns[];
  /** attachments to networks of any plugin */
  readonly located: readonly Located[];
  readonly nowMs: number;
}

/** Longer than any ADD. */
const LONGEST_ADD_MS = 10 * 60_000;
/** Container IDs and namespace paths of Kubernetes runtimes. */
const CRI_ID = /^[0-9a-f]{64}$/;
const CRI_NETNS = /\/netns\/(cni-)?[0-9a-f-]{36}$/;

/** Determines from all records of one container whether it is alive. */
export function assess(records: readonly NodeRecord[], evidence: Evidence): Liveness {
  const id = records[0]?.containerId ?? '';
  if (evidence.sandboxes?.has(id)) {
    return { state: 'live', reason: 'the runtime still has its sandbox' };
  }
  const home = evidence.located.find(({ containerId }) => containerId === id);
  if (home !== undefined) {
    return isAbandoned(home, records, evidence)
      ? { state: 'dead', reason: 'the runtime does not know it, and its namespace has no processes' }
      : { state: 'live', reason: `its namespace "${home.netns.path}" exists` };
  }
  const hasHadNamespace = pathsOf(records).length > 0;
  const use = addressInUse(records, evidence, { onHost: !hasHadNamespace });
  if (use !== undefined) {
    return { state: 'in-use', reason: use };
  }
  if (hasHadNamespace) {
    return { state: 'dead', reason: 'its namespace is gone' };
  }
  if (records.some(({ addresses }) => addresses.length > 0)) {
    return { state: 'suspect', reason: 'no namespace is recorded for it, and none has its address' };
  }
  return areOld(records, evidence.nowMs)
    ? { state: 'suspect', reason: 'its ADD started more than 10 minutes ago and never finished' }
    : { state: 'unclear', reason: 'it may still be starting' };
}

/** Is it of a runtime that serves a kubelet? Others, and people, name theirs otherwise. */
export const isOfCri = (containerId: string, paths: readonly string[]): boolean =>
  CRI_ID.test(containerId) && paths.length > 0 && paths.every((path) => CRI_NETNS.test(path));

/** A runtime that fails to stop a sandbox may forget it and leave its namespace behind. */
function isAbandoned(
  { containerId, netns }: Located,
  records: readonly NodeRecord[],
  { sandboxes, namespaces, nowMs }: Evidence,
): boolean {
  return (
    sandboxes !== undefined &&
    isOfCri(containerId, [netns.path]) &&
    areOld(records, nowMs) &&
    namespaces.some(({ identity, hasProcesses }) => identity === netns.identity && !hasProcesses)
  );
}

const areOld = (records: readonly NodeRecord[], nowMs: number): boolean =>
  records.some(({ sinceMs }) => sinceMs !== undefined) &&
  records.every(({ sinceMs }) => sinceMs === undefined || nowMs - sinceMs > LONGEST_ADD_MS);

/**
 * Where an address of the container is in use without another attachment recorded there that explains it: pods of
 * separate networks may have the same addresses. The node's own namespace counts only for a container without a
 * recorded one: people also reserve addresses for the node.
 */
function addressInUse(
  records: readonly NodeRecord[],
  { namespaces, located }: Evidence,
  { onHost }: { readonly onHost: boolean },
): string | undefined {
  const own = new Set(records.flatMap(({ addresses }) => addresses.map(withoutPrefix)));
  for (const { path, identity, isHost, links, addresses } of namespaces.filter((one) => onHost || !one.isHost)) {
    const others = located.filter(({ netns }) => netns.identity === identity);
    for (const { text, linkIndex } of addresses.filter((address) => own.has(address.text))) {
      const link = links.find(({ index }) => index === linkIndex)?.name ?? '';
      const isExplained = others.some(
        (other) => other.addresses.includes(text) && (other.ifName === '' || other.ifName === link),
      );
      if (!isExplained) {
        const where = isHost ? 'on the node itself' : `in namespace "${path}"`;
        return `its address ${text} is in use on "${link}" ${where}`;
      }
    }
  }
  return undefined;
}
