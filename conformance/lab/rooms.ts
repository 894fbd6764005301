/** What plugins bring to the tests: see ../plugins/README.md. */
import { globSync } from 'node:fs';
import { join } from 'node:path';

const ROOMS = join(import.meta.dirname, '../plugins');

/** What one file of a plugin's room has. */
export interface Brought<T> {
  readonly plugin: string;
  readonly value: T;
}

/**
 * What the rooms have that have this file.
 *
 * @param file its name in the room
 * @param name of what it exports: what type that has, conformance/plugins/README.md says
 * @throws Error naming a file that exports no such thing
 */
export async function broughtIn<T>(file: string, name: string): Promise<readonly Brought<T>[]> {
  const paths = globSync(`*/${file}`, { cwd: ROOMS }).sort();
  return Promise.all(
    paths.map(async (path) => {
      const module = (await import(join(ROOMS, path))) as Readonly<Record<string, unknown>>;
      if (module[name] === undefined) {
        throw new Error(`conformance/plugins/${path} exports no "${name}"`);
      }
      return { plugin: path.slice(0, path.indexOf('/')), value: module[name] as T };
    }),
  );
}
