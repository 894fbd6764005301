import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a package says of itself. */
export interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

export const readPackageJson = (folder: string): PackageJson =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageJson;

/** Packages that the program is bundled from, with what they need themselves, by name. */
export function bundledPackages(root: string): readonly PackageJson[] {
  const found = new Map<string, PackageJson>();
  const pending = Object.keys(readPackageJson(root).dependencies ?? {});
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (!found.has(name)) {
      const json = readPackageJson(join(root, 'node_modules', name));
      found.set(name, json);
      pending.push(...Object.keys(json.dependencies ?? {}));
    }
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
