import { isObject, type Json, type JsonObject, lookUp, textIn } from '../cni/json.ts';
import { type KnownKeys, keysOf, mergedKeys } from '../cni/known-keys.ts';
import type { Plugin } from '../cni/plugin.ts';
import { nearest } from './nearest.ts';

/** A key that nothing reads. */
export interface UnreadKey {
  /** with its parents: `ipam.ipRanges[0].gateway` */
  readonly path: string;
  /** how to fix it, one sentence */
  readonly fix: string;
}

/** By type. */
export type Plugins = ReadonlyMap<string, Plugin>;

/** Keys of a plugin's configuration that libcni and runtimes read or fill in. */
const OF_PLUGINS = ['cniVersion', 'name', 'type', 'capabilities', 'args', 'ipam', 'dns', 'prevResult', 'runtimeConfig'];

/** Keys of a list that libcni reads. */
const OF_LISTS = [
  'cniVersion',
  'cniVersions',
  'name',
  'plugins',
  'disableCheck',
  'disableGC',
  'loadOnlyInlinedPlugins',
];

/** Their content is up to the caller. */
const OPAQUE = ['capabilities', 'args', 'prevresult', 'runtimeconfig'];

const named = (names: readonly string[]): KnownKeys =>
  new Map(names.map((name) => [name.toLowerCase(), { name, below: undefined }]));

/** Unread keys of one plugin's configuration. Keys of foreign plugins are not checked. */
export function unreadKeys(conf: JsonObject, plugins: Plugins): readonly UnreadKey[] {
  const ipam = lookUp(conf, 'ipam');
  const main = plugins.get(textIn(conf, 'type'));
  const giver = isObject(ipam) ? plugins.get(textIn(ipam, 'type')) : undefined;
  const readers = [main, giver].filter((plugin) => plugin !== undefined);
  const known = readers.map((plugin) => keysOf(plugin.conf) ?? named([])).reduce(mergedKeys, named(OF_PLUGINS));
  const misnomers = new Map(
    readers.flatMap(({ misnomers = {} }) => Object.entries(misnomers).map(([key, why]) => [key.toLowerCase(), why])),
  );
  const search = { known, misnomers, plugins };
  const foreign = [...OPAQUE, ...(giver === undefined ? ['ipam'] : [])];
  const own = main === undefined ? [] : unreadIn(conf, without(known, foreign), '', search);
  const given = main !== undefined || giver === undefined ? undefined : known.get('ipam')?.below;
  return given === undefined ? own : unreadIn(ipam as JsonObject, given, 'ipam', search);
}

/** Unread keys of a list, apart from its plugins. */
export const unreadListKeys = (list: JsonObject, plugins: Plugins): readonly UnreadKey[] =>
  unreadIn(list, named(OF_LISTS), '', { known: named(OF_LISTS), misnomers: new Map(), plugins });

interface Search {
  /** of the whole document */
  readonly known: KnownKeys;
  readonly misnomers: ReadonlyMap<string, string>;
  readonly plugins: Plugins;
}

function unreadIn(value: Json | undefined, known: KnownKeys, path: string, search: Search): readonly UnreadKey[] {
  if (Array.isArray(value)) {
    return (value as readonly Json[]).flatMap((item, index) => unreadIn(item, known, `${path}[${index}]`, search));
  }
  return !isObject(value)
    ? []
    : Object.keys(value)
        .filter((key) => /^[a-z0-9][a-z0-9_-]*$/i.test(key)) // others are comments or a runtime's: "_note", "cni.dev/…"
        .flatMap((key) => {
          const at = path === '' ? key : `${path}.${key}`;
          const found = known.get(key.toLowerCase());
          if (found === undefined) {
            return [{ path: at, fix: fixOf(key, known, search) }];
          }
          return found.below === undefined ? [] : unreadIn(value[key], found.below, at, search);
        });
}

function fixOf(key: string, level: KnownKeys, { known, misnomers, plugins }: Search): string {
  const misnomer = misnomers.get(key.toLowerCase());
  if (misnomer !== undefined) {
    return `"${key}" ${misnomer}`;
  }
  const here = [...level.values()].map(({ name }) => name);
  const same = here.find((name) => plain(name) === plain(key));
  const elsewhere = pathsIn(known).find((path) => plain(path.split('.').at(-1) ?? '') === plain(key));
  const near = nearest(plain(key), here.map(plain));
  const meant = same ?? elsewhere ?? here.find((name) => plain(name) === near);
  if (meant !== undefined) {
    return `change it to "${meant}", or remove it`;
  }
  const owners = [...plugins.values()]
    .filter(({ conf }) => keysOf(conf)?.has(key.toLowerCase()))
    .map(({ name }) => name);
  return owners.length === 0 ? 'remove it' : `remove it: it is a key of ${owners.join(' and ')}`;
}

/** Without differences of spelling. */
const plain = (key: string): string => key.toLowerCase().replace(/[_-]|\[\]/g, '');

function pathsIn(known: KnownKeys, above = ''): readonly string[] {
  return [...known.values()].flatMap(({ name, below }) => {
    const path = `${above}${name}`;
    return [path, ...(below === undefined ? [] : pathsIn(below, `${path}.`))];
  });
}

/** The same keys, with any key allowed below `opaque` ones. */
const without = (known: KnownKeys, opaque: readonly string[]): KnownKeys =>
  new Map([...known].map(([key, one]) => [key, opaque.includes(key) ? { ...one, below: undefined } : one]));
