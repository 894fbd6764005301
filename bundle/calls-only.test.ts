import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { refuseOthers, undefinedExports } from './calls-only.ts';
import { pluginNames, ROOT } from './compile.ts';

describe('undefinedExports', () => {
  it('has every name that a module exports, and no type', () => {
    const source = `import { a } from './a.ts';
export interface Thing {}
export type Other = string;
export const commands: readonly string[] = [a];
export async function examine(): Promise<void> {}
export function listRecords() {}
const own = 1;
`;
    expect(undefinedExports(source)).toBe(
      'export const commands = undefined;\nexport const examine = undefined;\nexport const listRecords = undefined;\n',
    );
  });
});

describe('refuseOthers', () => {
  const madeOf = (inputs: Record<string, { bytesInOutput: number }>) =>
    refuseOthers({ inputs: {}, outputs: { 'entry.js': { inputs } as never } });

  it('takes what calls use, and modules of which nothing is left', () => {
    madeOf({ 'lib/cni/run.ts': { bytesInOutput: 9 }, 'lib/cli/confs.ts': { bytesInOutput: 0 } });
  });

  it.each([
    'lib/cli/confs.ts',
    'lib/agent/agent.ts',
    'lib/controller/run.ts',
    'plugins/whereabouts/controller/pods.ts',
  ])('refuses %s', (path) => {
    expect(() => madeOf({ [path]: { bytesInOutput: 1 } })).toThrow(`no call uses ${path}`);
  });
});

describe('a plugin', () => {
  it.each(pluginNames())('%s imports nothing of lib/cli but in the files that its script leaves out', (name) => {
    const sources = globSync(join(ROOT, `plugins/${name}/plugin.ts`)).map((path) => readFileSync(path, 'utf8'));
    expect(sources.filter((source) => /from '.*lib\/(cli|agent)\//.test(source))).toEqual([]);
  });
});
