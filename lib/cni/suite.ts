import { type Stats, statSync } from 'node:fs';
import { readMark } from '../sys/build-id.ts';
import type { Plugin } from './plugin.ts';

/** Lazy loaders of this build's plugins, by type. */
export type Registry = Readonly<Record<string, () => Promise<Plugin>>>;

/** The plugins of this build, in this process and as files. */
export interface Suite {
  readonly registry: Registry;
  /** of this build; '' when it has no mark */
  readonly mark: string;
  /**
   * Whether this file belongs to the suite, so that its plugin runs in this process.
   *
   * @param stats of the file, by whoever has looked at it just now
   */
  isOwnBuild(path: string, stats?: Stats): boolean;
}

/** Cached files; more than any folder has plugins. */
const MOST_KNOWN = 256;

/**
 * @param marks endings of the suite's files: those of this build, and of launchers that call this process; none if
 * delegates must always be executed
 */
export function makeSuite(registry: Registry, marks: readonly Buffer[]): Suite {
  const known = new Map<string, { readonly stats: Stats; readonly isOwn: boolean }>();
  const look = (path: string): boolean => {
    const mark = readMark(path);
    return mark !== undefined && marks.some((one) => one.equals(mark));
  };
  return {
    registry,
    mark: marks[0]?.toString().trim() ?? '',
    isOwnBuild: (path, given) => {
      const stats = marks.length === 0 ? undefined : (given ?? statSync(path, { throwIfNoEntry: false }));
      if (stats === undefined) {
        return false;
      }
      const seen = known.get(path);
      if (seen !== undefined && isSame(seen.stats, stats)) {
        return seen.isOwn;
      }
      const isOwn = look(path);
      if (known.size >= MOST_KNOWN) {
        known.clear();
      }
      known.set(path, { stats, isOwn });
      return isOwn;
    },
  };
}

/** Not when the file was replaced or rewritten. */
const isSame = (a: Stats, b: Stats): boolean =>
  a.dev === b.dev && a.ino === b.ino && a.size === b.size && a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs;
