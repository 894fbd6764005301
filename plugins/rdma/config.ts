import { isAbsolute } from 'node:path';
import { type Conf, flag, networkConf, section, text } from '../../lib/cni/config.ts';
import { CniError } from '../../lib/cni/errors.ts';
import { isObject, type JsonObject, lookUp, textIn } from '../../lib/cni/json.ts';

/** The Go plugin's folder. */
const DEFAULT_DATA_DIR = '/var/lib/cni/rdma';

export const RdmaConf = networkConf({
  deviceID: text(
    'Parent of the RDMA device: a PCI address such as `0000:65:02.3`, or a name on the auxiliary bus such as `mlx5_core.sf.7`. Filled in by multus. Default: the device of the interface in `prevResult`.',
  ),
  dataDir: text(`Folder for the states of attachments. Default: \`${DEFAULT_DATA_DIR}\`.`),
  args: section(
    { cni: section({ debug: flag('Write each step to stderr.') }, 'Those for CNI plugins.') },
    'Optional settings.',
  ),
  runtimeConfig: section(
    { deviceID: text('Used when `deviceID` is empty (capability `deviceID`).') },
    'Filled in by the runtime.',
  ),
});
export type RdmaConf = Conf<typeof RdmaConf>;

/** `deviceID` of the configuration, else the runtime's; '' when there is none. */
export const wantedDevice = (conf: RdmaConf): string => conf.deviceID || conf.runtimeConfig?.deviceID || '';

/** @throws CniError invalidNetworkConfig when it is relative */
export function dataDirOf(dataDir: string): string {
  if (dataDir !== '' && !isAbsolute(dataDir)) {
    throw new CniError('invalidNetworkConfig', `cannot use "dataDir" "${dataDir}": it is not an absolute path`);
  }
  return dataDir || DEFAULT_DATA_DIR;
}

/** What DEL needs of the configuration. */
export interface Wanted {
  /** as given */
  readonly dataDir: string;
  readonly device: string;
  readonly isVerbose: boolean;
}

/** Reads only that; a value of a wrong type counts as absent. */
export function readWanted(document: JsonObject): Wanted {
  const args = lookUp(document, 'args');
  const own = isObject(args) ? lookUp(args, 'cni') : undefined;
  return {
    dataDir: textIn(document, 'dataDir'),
    device: textIn(document, 'deviceID') || textIn(lookUp(document, 'runtimeConfig'), 'deviceID'),
    isVerbose: isObject(own) && lookUp(own, 'debug') === true,
  };
}
