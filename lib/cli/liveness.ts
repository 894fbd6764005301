import type { Host } from '../cni/plugin.ts';
import { isGonePath, opened } from './gone.ts';
import type { SeenNetns } from './namespaces.ts';
import type { NodeRecord } from './node.ts';

/**
 * Is a container there? `dead`: it cannot be; `lost`: nothing tells where it is or was, and none of its addresses is in
 * any namespace, which is also so for a moment while it is being attached.
 */
export type Verdict = 'alive' | 'dead' | 'lost' | 'unknown';

export interface Judgement {
  readonly verdict: Verdict;
  /** a phrase: what tells */
  readonly because: string;
}

export interface Evidence {
  /** IDs of the sandboxes that the runtime has; undefined when there is none to be asked */
  readonly sandboxes: ReadonlySet<string> | undefined;
  readonly namespaces: readonly SeenNetns[];
  readonly nowMs: number;
}

/** Nothing takes longer to be attached. */
const LONGEST_ADD_MS = 10 * 60_000;
/** IDs and namespaces that runtimes of Kubernetes make. */
const CRI_ID = /^[0-9a-f]{64}$/;
const CRI_NETNS = /\/netns\/(cni-)?[0-9a-f-]{36}$/;

/** Judges a container by all that is recorded of it. */
export function judge(host: Host, records: readonly NodeRecord[], evidence: Evidence): Judgement {
  const id = records[0]?.containerId ?? '';
  if (evidence.sandboxes?.has(id)) {
    return { verdict: 'alive', because: 'the runtime has it' };
  }
  const paths = [...new Set(records.map(({ netns }) => netns))].filter((path) => path !== '');
  const open = paths.find((path) => !isGonePath(host, path));
  if (open !== undefined) {
    return isAbandoned(host, id, open, records, evidence)
      ? { verdict: 'dead', because: 'the runtime does not have it, and nobody is in its namespace' }
      : { verdict: 'alive', because: 'its namespace is there' };
  }
  const seen = addressesSeen(records, evidence.namespaces);
  if (seen !== undefined) {
    return { verdict: 'alive', because: `namespace "${seen.path}" has its address` };
  }
  if (paths.length > 0) {
    return { verdict: 'dead', because: 'its namespace is gone' };
  }
  if (records.some(({ addresses }) => addresses.length > 0)) {
    return { verdict: 'lost', because: 'no namespace is recorded, and none has its address' };
  }
  return areOld(records, evidence.nowMs)
    ? { verdict: 'lost', because: 'its ADD began long ago and has never ended' }
    : { verdict: 'unknown', because: 'it may just be on the way' };
}

/** A runtime that failed to take a sandbox down may have forgotten it, and left its namespace. */
function isAbandoned(
  host: Host,
  id: string,
  path: string,
  records: readonly NodeRecord[],
  { sandboxes, namespaces, nowMs }: Evidence,
): boolean {
  if (sandboxes === undefined || !CRI_ID.test(id) || !CRI_NETNS.test(path) || !areOld(records, nowMs)) {
    return false;
  }
  using netns = opened(host, path);
  return namespaces.some(({ identity, isInhabited }) => identity === netns?.identity && !isInhabited);
}

const areOld = (records: readonly NodeRecord[], nowMs: number): boolean =>
  records.some(({ sinceMs }) => sinceMs !== undefined) &&
  records.every(({ sinceMs }) => sinceMs === undefined || nowMs - sinceMs > LONGEST_ADD_MS);

function addressesSeen(records: readonly NodeRecord[], namespaces: readonly SeenNetns[]): SeenNetns | undefined {
  const own = new Set(records.flatMap(({ addresses }) => addresses.map(withoutPrefix)));
  return namespaces.find(({ isHost, addresses }) => !isHost && addresses.some(({ text }) => own.has(text)));
}

export const withoutPrefix = (address: string): string => address.replace(/\/\d+$/, '');

/** By container, in the order in which they were found. */
export function byContainer(records: readonly NodeRecord[]): ReadonlyMap<string, readonly NodeRecord[]> {
  const found = new Map<string, NodeRecord[]>();
  for (const record of records) {
    const known = found.get(record.containerId);
    if (known === undefined) {
      found.set(record.containerId, [record]);
    } else {
      known.push(record);
    }
  }
  return found;
}
