/** The differences of all plugins: those that they share, and those that each has in its room. */
import { broughtIn } from '../lab/rooms.ts';
import type { Difference } from './difference.ts';
import { SHARED } from './differences.ts';

export interface Differences {
  /** whose they are; `all` for those that all plugins share */
  readonly plugin: string;
  readonly value: readonly Difference[];
}

export async function allDifferences(): Promise<readonly Differences[]> {
  return [
    { plugin: 'all', value: SHARED },
    ...(await broughtIn<readonly Difference[]>('differences.ts', 'DIFFERENCES')),
  ];
}

/** The tags of the differences that tests of these kinds show; of every kind when none is named. */
export async function tagsOf(kind?: string): Promise<readonly string[]> {
  return (await allDifferences()).flatMap(({ plugin, value }) =>
    value.flatMap((one) =>
      'shownBy' in one && (kind === undefined || one.shownBy === kind) ? [`${plugin}/${one.id}`] : [],
    ),
  );
}
