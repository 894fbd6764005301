import type { Host } from '../cni/plugin.ts';
import { findRuntimes, listSandboxes } from './cri.ts';
import { byContainer, type Evidence, type Judgement, judge } from './liveness.ts';
import { listNamespaces } from './namespaces.ts';
import { type Node, type NodePlaces, type NodeRecord, readNode } from './node.ts';
import { WrongUsage } from './options.ts';
import { count } from './table.ts';

/** A container, all that is recorded of it, and whether it is there. */
export interface Judged extends Judgement {
  readonly containerId: string;
  readonly records: readonly NodeRecord[];
}

export interface Question {
  readonly places: NodePlaces;
  /** --cri */
  readonly cri: string;
  /** between two looks at containers of which nothing tells where they are */
  readonly waitMs: number;
}

export interface JudgedNode {
  readonly node: Node;
  readonly evidence: Evidence;
  readonly containers: readonly Judged[];
}

export const WAIT_OPTION = { wait: { type: 'string', default: '30' } } as const;

/** @throws WrongUsage */
export function waitMsIn(seconds: string): number {
  if (!/^\d+$/.test(seconds)) {
    throw new WrongUsage(`cannot use --wait "${seconds}": it is not a whole number of seconds`);
  }
  return Number(seconds) * 1000;
}

/**
 * Looks at the node once. Records are read first: what is attached after that is not judged, and what has ended before
 * it is not in them.
 */
export async function judgeNode(host: Host, { places, cri }: Question): Promise<JudgedNode> {
  const node = await readNode(host, places);
  const runtimes = await findRuntimes(cri);
  const sandboxes: string[] = [];
  for (const runtime of runtimes) {
    sandboxes.push(...(await listSandboxes(runtime)));
  }
  const evidence: Evidence = {
    sandboxes: runtimes.length === 0 ? undefined : new Set(sandboxes),
    namespaces: await listNamespaces(host),
    nowMs: Date.now(),
  };
  const containers = [...byContainer(node.records)].map(([containerId, records]) => ({
    containerId,
    records,
    ...judge(host, records, evidence),
  }));
  return { node, evidence, containers };
}

/**
 * Looks, and looks again later when there is something that may be on its way: a container is `lost` only when it was so
 * both times.
 */
export async function judgeSurely(host: Host, question: Question, tell: (line: string) => void): Promise<JudgedNode> {
  const first = await judgeNode(host, question);
  const lost = first.containers.filter(({ verdict }) => verdict === 'lost');
  if (lost.length === 0) {
    return first;
  }
  if (question.waitMs > 0) {
    tell(
      `${count(lost.length, 'container')} may just be on the way: looking again in ${question.waitMs / 1000} s (--wait)`,
    );
  }
  await host.sleep(question.waitMs);
  const second = await judgeNode(host, question);
  const wasLost = new Set(lost.map(({ containerId }) => containerId));
  const containers = second.containers.map((container) =>
    container.verdict === 'lost' && !wasLost.has(container.containerId)
      ? { ...container, verdict: 'unknown' as const, because: 'it may just be on the way' }
      : container,
  );
  return { ...second, containers };
}

export const isOver = ({ verdict }: Judgement): boolean => verdict === 'dead' || verdict === 'lost';
