import { join } from 'node:path';
import type { Call } from '../../lib/cni/call.ts';
import { CniError, quoted } from '../../lib/cni/errors.ts';
import { isObject, type JsonObject, lookUp } from '../../lib/cni/json.ts';

export const DEFAULT_DATA_DIR = '/var/lib/cni/networks';

/** The folder of a network: what the Go plugin calls so too. */
export const folderOf = (dataDir: string, network: string): string => join(dataDir || DEFAULT_DATA_DIR, network);

/**
 * The folder of a call whose configuration may have any other fault by now.
 *
 * @throws CniError invalidNetworkConfig when it cannot be told: what is held elsewhere would stay for ever
 */
export function folderIn({ document, network }: Pick<Call<unknown>, 'document' | 'network'>): string {
  const ipam = lookUp(document, 'ipam');
  const dataDir = isObject(ipam) ? dataDirIn(ipam) : undefined;
  if (dataDir === undefined) {
    throw new CniError('invalidNetworkConfig', `cannot use "ipam": ${quoted(ipam)} is not an object`);
  }
  return folderOf(dataDir, network);
}

function dataDirIn(ipam: JsonObject): string {
  const dataDir = lookUp(ipam, 'dataDir') ?? '';
  if (typeof dataDir !== 'string') {
    throw new CniError('invalidNetworkConfig', `cannot use "ipam.dataDir": ${quoted(dataDir)} is not a string`);
  }
  return dataDir;
}
