import { statSync } from 'node:fs';
import { readMark } from '../sys/build-id.ts';
import type { Plugin } from './plugin.ts';

/** What a plugin is read from: loaded only when it is called for. */
export type Registry = Readonly<Record<string, () => Promise<Plugin>>>;

/** The plugins of this build, in this process and as files. */
export interface Suite {
  readonly registry: Registry;
  /** Does this file belong to the suite? Then its plugin runs inside this process. */
  isOwnBuild(path: string): boolean;
}

/** Files that a process has looked at; more than there are plugins in any folder. */
const MOST_KNOWN = 256;

/**
 * @param marks what the files of the suite end with: those of this build, and launchers that call this process; none where
 * delegates shall always be executed
 */
export function makeSuite(registry: Registry, marks: readonly Buffer[]): Suite {
  const known = new Map<string, { readonly state: string; readonly isOwn: boolean }>();
  const look = (path: string): boolean => {
    const mark = readMark(path);
    return mark !== undefined && marks.some((one) => one.equals(mark));
  };
  return {
    registry,
    isOwnBuild: (path) => {
      const state = marks.length === 0 ? undefined : stateOf(path);
      if (state === undefined) {
        return false;
      }
      const seen = known.get(path);
      if (seen?.state === state) {
        return seen.isOwn;
      }
      const isOwn = look(path);
      if (known.size >= MOST_KNOWN) {
        known.clear();
      }
      known.set(path, { state, isOwn });
      return isOwn;
    },
  };
}

/** Another one as soon as the file is another, or written again. */
function stateOf(path: string): string | undefined {
  const { dev, ino, size, mtimeNs } = statSync(path, { bigint: true, throwIfNoEntry: false }) ?? {};
  return ino === undefined ? undefined : `${dev}:${ino}:${size}:${mtimeNs}`;
}
