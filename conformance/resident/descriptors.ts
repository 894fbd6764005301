/** What an agent has open, by kind: how many there are says little about what there is too much of. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export type Descriptors = Readonly<Record<string, number>>;

/**
 * Kinds of which some are kept for the next call, and how many at most. How many there are depends on how often the
 * kernel has let calls wait at the same time: one where it never has.
 */
const KEPT: Descriptors = { 'netlink socket': 4 };

export function descriptorsOf(pid: number): Descriptors {
  const netlink = netlinkSockets(pid);
  const kinds: Record<string, number> = {};
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    const target = targetOf(`/proc/${pid}/fd/${fd}`);
    const [, type, inode = ''] = /^(\w+):\[(\d+)\]$/.exec(target) ?? [];
    const kind = type === 'socket' && netlink.has(inode) ? 'netlink socket' : (type ?? target);
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
  return kinds;
}

/** Kinds of which there are more than before, and more than are kept. */
export const moreThan = (before: Descriptors, now: Descriptors): readonly string[] =>
  Object.entries(now)
    .filter(([kind, count]) => count > Math.max(before[kind] ?? 0, KEPT[kind] ?? 0))
    .map(([kind, count]) => `${kind}: ${before[kind] ?? 0}, now ${count}`);

/** Those of its network namespace. */
const netlinkSockets = (pid: number): ReadonlySet<string> =>
  new Set(
    readFileSync(`/proc/${pid}/net/netlink`, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => line.trim().split(/\s+/).at(-1) ?? ''),
  );

/** Empty for one that has been closed meanwhile. */
function targetOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
