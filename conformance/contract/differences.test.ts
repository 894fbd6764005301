/** The lists of intended differences and the READMEs say the same. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PLUGINS, ROOT } from '../lab/programs.ts';
import { allDifferences } from './all-differences.ts';
import { SHARED } from './differences.ts';

const DIFFERENCES = await allDifferences();

describe('the intended differences', () => {
  it.each(PLUGINS)('of %s are the rows of its README', (plugin) => {
    const own = DIFFERENCES.find((differences) => differences.plugin === plugin)?.value ?? [];
    expect([...rowsOf(plugin)].sort()).toEqual([...new Set(own.map(({ id }) => id))].sort());
  });

  it("of all plugins are the rows of the project's README", () => {
    expect([...sharedRows()].sort()).toEqual(SHARED.map(({ ours }) => ours).sort());
  });
});

/** What the project's README says of all plugins. */
function sharedRows(): readonly string[] {
  const [, section = ''] = readFileSync(join(ROOT, 'README.md'), 'utf8').split(/^## Differences from the Go plugins$/m);
  const [table = ''] = section.split(/^## /m);
  const cells = table.split('\n').map((line) => /^\| ([^|]*[^| ]) +\|/.exec(line)?.[1] ?? '');
  return cells.filter((cell) => cell !== '' && cell !== 'Braid' && !cell.startsWith('-'));
}

/** Ids of the table under "Differences". */
function rowsOf(plugin: string): readonly string[] {
  const file = join(ROOT, 'plugins', plugin, 'README.md');
  if (!PLUGINS.includes(plugin) || !existsSync(file)) {
    throw new Error(`there is no ${file}`);
  }
  const [, rest = ''] = readFileSync(file, 'utf8').split(/^## Differences$/m);
  const [section = ''] = rest.split(/^## /m);
  const cells = section.split('\n').map((line) => /^\|\s*((?:`[^`]+`(?:, )?)+)\s*\|/.exec(line)?.[1] ?? '');
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ''));
}
