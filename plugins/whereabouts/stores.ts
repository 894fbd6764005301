import { isObject, type JsonObject, lookUp } from '../../lib/cni/json.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { openDatastore } from './datastore.ts';
import { DEFAULT_DATA_DIR, type FilePlace } from './place.ts';

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

/**
 * Every network that has reservations in the store of a folder.
 *
 * @throws CniError when it cannot be read
 */
export async function networksIn(dataDir: string, scope: Scope): Promise<readonly FilePlace[]> {
  const store = openDatastore({ kind: 'file', dataDir, networkName: '' }, scope);
  return (await store.networks()).map((networkName): FilePlace => ({ kind: 'file', dataDir, networkName }));
}
