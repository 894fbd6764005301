/** The script of plugins, which has nothing that only people, the agent and the controller use. */
import { readFileSync } from 'node:fs';
import type { Metafile, Plugin } from 'esbuild';

/** What a plugin brings for others than its calls: optional members of its definition. */
const FOR_OTHERS = /\/plugins\/[\w-]+\/(agent-service|commands|controller-parts|examine|followed|recorded)\.ts$/;

/** Of which nothing may be left; the entry knows some names of `program.ts`. */
const NOT_OF_CALLS = /^(lib\/(cli(?!\/program\.ts)|agent|controller|devices|observe)|plugins\/[\w-]+\/controller)\//;

/** Leaves these members undefined. */
export const callsOnly: Plugin = {
  name: 'calls-only',
  setup(context) {
    context.onLoad({ filter: FOR_OTHERS }, ({ path }) => ({ contents: undefinedExports(readFileSync(path, 'utf8')) }));
  },
};

/** A module with the same names and nothing behind them. */
export const undefinedExports = (source: string): string =>
  [...source.matchAll(/^export (?:async )?(?:function|const) (\w+)/gm)]
    .map(([, name]) => `export const ${name} = undefined;\n`)
    .join('');

/** @throws Error naming modules that no call uses */
export function refuseOthers({ outputs }: Metafile): void {
  const modules = Object.values(outputs).flatMap(({ inputs }) => Object.entries(inputs));
  const others = modules.flatMap(([path, { bytesInOutput }]) =>
    bytesInOutput > 0 && NOT_OF_CALLS.test(path) ? [path] : [],
  );
  if (others.length > 0) {
    throw new Error(`cannot make the script of plugins: no call uses ${others.join(', ')}`);
  }
}
