import type { Scope } from '../cni/scope.ts';
import { sandboxesOf } from './cri.ts';
import { assess, type Evidence, type Liveness } from './liveness.ts';
import { locate } from './located.ts';
import { listNamespaces } from './namespaces.ts';
import { type Node, type NodePlaces, type NodeRecord, readNode } from './node.ts';
import { WrongUsage } from './options.ts';
import { count } from './table.ts';

/** A container, all its records, and whether it is alive. */
export interface Container extends Liveness {
  readonly containerId: string;
  readonly records: readonly NodeRecord[];
}

export interface ScanOptions {
  readonly places: NodePlaces;
  /** --cri */
  readonly cri: string;
  /** pause between the two scans */
  readonly waitMs: number;
}

export interface Scan {
  readonly node: Node;
  readonly evidence: Evidence;
  readonly containers: readonly Container[];
}

export const WAIT_OPTION = { wait: { type: 'string', default: '30' } } as const;

/** @throws WrongUsage */
export function secondsIn(option: string, seconds: string): number {
  if (!/^\d+$/.test(seconds)) {
    throw new WrongUsage(`cannot use --${option} "${seconds}": it is not a whole number of seconds`);
  }
  return Number(seconds);
}

/**
 * Scans the node; again after `waitMs` if there are suspects. A suspect of both scans is `dead`; one of only the second
 * stays `unclear`.
 */
export async function scanTwice(scope: Scope, options: ScanOptions, tell: (line: string) => void): Promise<Scan> {
  const first = await scan(scope, options);
  const suspects = new Set(first.containers.filter(isSuspect).map(({ containerId }) => containerId));
  if (suspects.size === 0) {
    return first;
  }
  if (options.waitMs > 0) {
    const seconds = options.waitMs / 1000;
    tell(`${count(suspects.size, 'container')} may still be starting: scanning again in ${seconds} s (--wait)`);
  }
  await scope.sleep(options.waitMs);
  const second = await scan(scope, options);
  const containers = second.containers.map((container): Container => {
    if (!isSuspect(container)) {
      return container;
    }
    return suspects.has(container.containerId)
      ? { ...container, state: 'dead' }
      : { ...container, state: 'unclear', reason: 'it may still be starting' };
  });
  return { ...second, containers };
}

/** Records are read first: a later ADD is not assessed, and earlier deletions are not in them. */
async function scan(scope: Scope, { places, cri }: ScanOptions): Promise<Scan> {
  const node = await readNode(scope, places);
  const evidence: Evidence = {
    sandboxes: await sandboxesOf(cri),
    namespaces: await listNamespaces(scope),
    located: locate(node.homes, [...node.records, ...node.foreign]),
    nowMs: Date.now(),
  };
  const groups = Map.groupBy(node.records, ({ containerId }) => containerId);
  const containers = [...groups].map(([containerId, records]) => ({
    containerId,
    records,
    ...assess(records, evidence),
  }));
  return { node, evidence, containers };
}

const isSuspect = ({ state }: Liveness): boolean => state === 'suspect';

export const isDead = ({ state }: Liveness): boolean => state === 'dead';
