import { readOptions, WrongUsage } from '../../lib/cli/options.ts';
import { messageOf } from '../../lib/cni/errors.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { openDatastore } from './datastore.ts';
import { exportedNetwork, formatExported } from './exported.ts';
import { placeOf } from './place.ts';
import { networksIn } from './stores.ts';

/** `braid ipam export` */
export async function exportStore(
  args: readonly string[],
  scope: Scope,
  print: (line: string) => void,
): Promise<number> {
  const { values } = readOptions(args, { 'data-dir': { type: 'string', default: '' } });
  const { dataDir } = placeIn(values['data-dir']);
  const networks = [];
  for (const place of await networksIn(dataDir, scope)) {
    networks.push(exportedNetwork(place.networkName, await openDatastore(place, scope).pools()));
  }
  print(formatExported(networks));
  return 0;
}

function placeIn(dataDir: string) {
  try {
    return placeOf(dataDir, '');
  } catch (error) {
    throw new WrongUsage(messageOf(error), { cause: error });
  }
}
