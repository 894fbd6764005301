/** Cases of a plugin whose documents differ from one in few keys. */

import { VERSIONS } from '../lab/programs.ts';
import type { Case } from './compare.ts';

export type Document = Readonly<Record<string, unknown>>;
export type Options = Partial<Omit<Case, 'title' | 'plugin' | 'conf'>> & { readonly version?: string };

export interface Making {
  /** @param changes keys set; undefined takes a key away */
  one(title: string, changes: Document, options?: Options): Case;
  /** One case per version. */
  across(versions: readonly string[], title: string, changes: Document, options?: Options): readonly Case[];
  /** One case per value of a key. */
  values(key: string, list: readonly unknown[], options?: Options): readonly Case[];
  /** A document as it is. */
  raw(title: string, text: string | Buffer, options?: Options): Case;
}

/** Every case has a version: where it does not matter they take turns. */
export function making(plugin: string, base: (version: string) => Document): Making {
  let turn = 0;
  const nextVersion = (): string => VERSIONS[turn++ % VERSIONS.length] ?? '1.1.0';
  const one: Making['one'] = (title, changes, { version = nextVersion(), ...options } = {}) => ({
    title: `${title} (${version})`,
    plugin,
    conf: { ...base(version), ...changes },
    ...options,
  });
  return {
    one,
    across: (versions, title, changes, options = {}) =>
      versions.map((version) => one(title, changes, { version, ...options })),
    values: (key, list, options = {}) => list.map((value) => one(`${key} ${show(value)}`, { [key]: value }, options)),
    raw: (title, text, options = {}) => ({ title, plugin, conf: text, verbs: ['ADD', 'DEL'], ...options }),
  };
}

export const show = (value: unknown): string => (JSON.stringify(value) ?? 'absent').slice(0, 100);

export const ipam = (...changes: readonly Document[]): Document => ({
  ipam: Object.assign({ type: 'static' }, ...changes),
});

export const addresses = (...list: readonly (string | readonly [string, string])[]): Document => ({
  addresses: list.map((item) =>
    typeof item === 'string' ? { address: item } : { address: item[0], gateway: item[1] },
  ),
});

export const hostLocal = (changes: Document): Document => ({
  ipam: { type: 'host-local', dataDir: '{store}', ...changes },
});

/** Each title once. */
export function distinct(cases: readonly Case[]): readonly Case[] {
  const seen = new Map<string, number>();
  return cases.map((each) => {
    const count = (seen.get(each.title) ?? 0) + 1;
    seen.set(each.title, count);
    return count === 1 ? each : { ...each, title: `${each.title} #${count}` };
  });
}
