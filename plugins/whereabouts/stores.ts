import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isObject, type JsonObject, lookUp } from '../../lib/cni/json.ts';
import { DEFAULT_DATA_DIR, folderOf, networkNameOf, type StorePlace } from './place.ts';
import { journalIn } from './store-folder.ts';

/** `ipam` of the configurations that this plugin gives addresses for. */
export const ipamsIn = (confs: readonly JsonObject[]): readonly JsonObject[] =>
  confs.flatMap((conf) => {
    const ipam = lookUp(conf, 'ipam');
    return isObject(ipam) && lookUp(ipam, 'type') === 'whereabouts' ? [ipam] : [];
  });

/** Folders that keep networks: the usual one, and those that are configured. */
export function dataDirsIn(confs: readonly JsonObject[]): readonly string[] {
  const configured = ipamsIn(confs).map((ipam) => lookUp(ipam, 'data_dir'));
  const all = [DEFAULT_DATA_DIR, ...configured];
  return [...new Set(all.filter((path): path is string => typeof path === 'string' && path.startsWith('/')))];
}

/** Configurations that lead to folders which a person has named. */
export const confsFor = (dataDirs: readonly string[]): readonly JsonObject[] =>
  dataDirs.map((dataDir) => ({ ipam: { type: 'whereabouts', datastore: 'file', data_dir: dataDir } }));

/** Every network that has a store in one of the folders. */
export function storesIn(dataDirs: readonly string[]): readonly StorePlace[] {
  return dataDirs.flatMap((dataDir) =>
    foldersIn(dataDir)
      .map((name): StorePlace => ({ kind: 'file', dataDir, networkName: networkNameOf(name) }))
      .filter((place) => isStore(folderOf(place))),
  );
}

const isStore = (folder: string): boolean =>
  namesIn(folder).some((name) => join(folder, name) === journalIn(folder) || name.startsWith('snapshot.json'));

function foldersIn(dataDir: string): readonly string[] {
  try {
    return readdirSync(dataDir, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort();
  } catch {
    return [];
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
