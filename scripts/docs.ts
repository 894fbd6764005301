/** `npm run docs`: generates the tables in the documents from the code. With --check it only compares. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pluginNames, ROOT } from '../bundle/compile.ts';
import { deviceSchemas } from '../bundle/device-schemas.ts';
import { loadPlugin, schemaOf } from '../bundle/schemas.ts';
import { commandsTable } from './docs/commands.ts';
import { fill } from './docs/markdown.ts';
import { supportMatrix } from './docs/matrix.ts';
import { optionsTable } from './docs/options.ts';

export interface Document {
  /** below the root of the project */
  readonly path: string;
  readonly text: string;
  /** what it should contain */
  readonly wanted: string;
}

/** The documents that exist. */
export async function documents(): Promise<readonly Document[]> {
  const names = pluginNames();
  const loaded = await Promise.all(names.map(loadPlugin));
  const parts = { commands: commandsTable(loaded), matrix: supportMatrix(loaded) };
  const plugins = names.map(async (name) =>
    document(join('plugins', name, 'README.md'), { options: optionsTable(await schemaOf(name)) }),
  );
  const devices = Object.fromEntries(deviceSchemas().map(({ name, told }) => [name, optionsTable(told)]));
  return [
    ...(await Promise.all(plugins)).flat(),
    ...document('README.md', parts),
    ...document('lib/devices/README.md', devices),
  ];
}

/** @param parts by the name of their placeholder */
function document(path: string, parts: Readonly<Record<string, string>>): readonly Document[] {
  if (!existsSync(join(ROOT, path))) {
    return [];
  }
  const text = readFileSync(join(ROOT, path), 'utf8');
  const wanted = Object.entries(parts).reduce((filled, [place, content]) => fill(filled, place, content), text);
  return [{ path, text, wanted }];
}

async function main(isCheck: boolean): Promise<number> {
  const outdated = (await documents()).filter(({ text, wanted }) => text !== wanted);
  for (const { path, wanted } of outdated) {
    console.log(isCheck ? `${path} is out of date: npm run docs` : `wrote ${path}`);
    if (!isCheck) {
      writeFileSync(join(ROOT, path), wanted);
    }
  }
  return isCheck && outdated.length > 0 ? 1 : 0;
}

if (import.meta.main) {
  process.exitCode = await main(process.argv.includes('--check'));
}
