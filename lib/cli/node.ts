import { messageOf } from '../cni/errors.ts';
import { type JsonObject, textIn } from '../cni/json.ts';
import type { Plugin } from '../cni/plugin.ts';
import type { AttachmentRecord } from '../cni/records.ts';
import { type Scope, scopeWith } from '../cni/scope.ts';
import { type CachedRecord, cachedRecords } from './cached.ts';
import { type ConfFile, confFilesIn, distinct, pluginConfsIn } from './confs.ts';
import { findHomes, type Homes } from './located.ts';
import { CACHE_FOLDER, CONF_FOLDER } from './program.ts';

/** What is known about a node: configurations, and records of runtimes and plugins. */
export interface Node {
  readonly confFiles: readonly ConfFile[];
  /** of every plugin, configured now or when a pod was attached */
  readonly confs: readonly JsonObject[];
  /** ordered by writer: the outer ones, with the most information, first */
  readonly records: readonly NodeRecord[];
  /** runtimes' records of networks without our plugins */
  readonly foreign: readonly CachedRecord[];
  /** errors of unreadable records */
  readonly faults: readonly string[];
  /** namespaces of the containers in both */
  readonly homes: Homes;
  /** Whether the namespace of a record's pod is gone. */
  isGone(record: AttachmentRecord): boolean;
}

export interface NodeRecord extends AttachmentRecord {
  /** type of the plugin; '' for a runtime's record */
  readonly plugin: string;
}

export interface NodePlaces {
  readonly confDir: string;
  readonly cacheDir: string;
  /** configurations that a command adds */
  readonly confs?: readonly JsonObject[];
}

export const NODE_OPTIONS = {
  'conf-dir': { type: 'string', default: CONF_FOLDER },
  'cache-dir': { type: 'string', default: CACHE_FOLDER },
} as const;

export const placesIn = (values: { readonly 'conf-dir': string; readonly 'cache-dir': string }): NodePlaces => ({
  confDir: values['conf-dir'],
  cacheDir: values['cache-dir'],
});

/**
 * Reads everything. Configurations say where records are, and records hold configurations: repeats until nothing new is
 * found.
 */
export async function readNode(scope: Scope, { confDir, cacheDir, confs: added = [] }: NodePlaces): Promise<Node> {
  const plugins = await Promise.all(Object.values(scope.suite.registry).map((load) => load()));
  const confFiles = confFilesIn(confDir);
  const cached = cachedRecords(cacheDir);
  const faults = new Set(cached.faults);
  const noting = scopeWith(scope, () => ({ log: (line) => void faults.add(line) }));
  const runtimes = cached.records.flatMap((record): readonly NodeRecord[] =>
    isOfOurs(record.list, plugins) ? [{ ...record, plugin: '', release: record.list }] : [],
  );
  const foreign = cached.records.filter(({ list }) => !isOfOurs(list, plugins));
  let records = runtimes;
  let confs = [...added, ...confsIn(confFiles, records)];
  for (let known = -1; known !== confs.length; ) {
    known = confs.length;
    records = [...runtimes, ...(await askAll(plugins, noting, confs))];
    confs = [...added, ...confsIn(confFiles, records)];
  }
  const homes = await findHomes(scope, [...records, ...foreign]);
  const isGone = ({ containerId }: AttachmentRecord): boolean =>
    homes.has(containerId) && homes.get(containerId)?.identity === undefined;
  return { confFiles, confs, records, foreign, homes, faults: [...faults], isGone };
}

function confsIn(files: readonly ConfFile[], records: readonly NodeRecord[]): readonly JsonObject[] {
  const documents = [...files.map(({ document }) => document), ...records.map(({ list }) => list)];
  return distinct(documents.flatMap((document) => (document === undefined ? [] : pluginConfsIn(document))));
}

async function askAll(plugins: readonly Plugin[], scope: Scope, confs: readonly JsonObject[]) {
  const records: NodeRecord[] = [];
  for (const plugin of plugins) {
    try {
      const own = (await plugin.records?.(scope, confs)) ?? [];
      records.push(...own.map((record) => ({ ...record, plugin: plugin.name })));
    } catch (error) {
      scope.log(messageOf(error));
    }
  }
  return records.sort((a, b) => rank(a) - rank(b));
}

/** Records with network and addresses first. */
const rank = ({ list, device }: AttachmentRecord): number => (list !== undefined ? 0 : device !== '' ? 1 : 2);

function isOfOurs(list: JsonObject | undefined, plugins: readonly Plugin[]): list is JsonObject {
  return (
    list !== undefined && pluginConfsIn(list).some((conf) => plugins.some(({ name }) => name === textIn(conf, 'type')))
  );
}
