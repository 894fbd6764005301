import { isAbsolute } from 'node:path';
import {
  type Conf,
  flag,
  integer,
  maybeFlag,
  maybeInteger,
  maybeText,
  networkConf,
  section,
  text,
  texts,
} from '../../lib/cni/config.ts';
import { CniError } from '../../lib/cni/errors.ts';
import { type JsonObject, textIn } from '../../lib/cni/json.ts';

/** The Go plugin's folder. */
const DEFAULT_DATA_DIR = '/run/cni/tuning';

const U32 = { min: 0, max: 2 ** 32 - 1 };

export const TuningConf = networkConf({
  sysctl: texts(
    'Sysctls of the pod by their names below `net`, such as `net.ipv4.conf.IFNAME.arp_filter`; `IFNAME` stands for the interface.',
  ),
  mac: text('Hardware address. Default: as it is.'),
  mtu: integer('MTU of the interface; 0 leaves it as it is.', { min: 0 }),
  promisc: flag('Switch promiscuous mode on.'),
  allmulti: maybeFlag('Switch all-multicast mode on or off. Default: as it is.'),
  txQLen: maybeInteger('Length of the transmit queue, in packets. Default: as it is.', U32),
  dataDir: text(`Folder for what interfaces had before. Default: \`${DEFAULT_DATA_DIR}\`.`),
  args: section(
    {
      cni: section(
        {
          sysctl: texts('As above; added to those.'),
          mac: maybeText('As above; beats all others, and empty means none.'),
          mtu: maybeInteger('As above; beats it.', { min: 0, max: 2 ** 31 - 1 }),
          promisc: maybeFlag('As above; beats it.'),
          allmulti: maybeFlag('As above; beats it.'),
          txQLen: maybeInteger('As above; beats it.', U32),
        },
        'Those for CNI plugins.',
      ),
    },
    'Settings of a single attachment.',
  ),
  runtimeConfig: section(
    { mac: text('Hardware address that the runtime asks for (capability `mac`).') },
    'Filled in by the runtime.',
  ),
});
export type TuningConf = Conf<typeof TuningConf>;

/** @throws CniError invalidNetworkConfig when it is relative */
export function dataDirOf({ dataDir }: TuningConf): string {
  if (dataDir !== '' && !isAbsolute(dataDir)) {
    throw new CniError('invalidNetworkConfig', `cannot use "dataDir" "${dataDir}": it is not an absolute path`);
  }
  return dataDir || DEFAULT_DATA_DIR;
}

/** The same for DEL and for people, who read no more than that: ADD refuses a relative path, so nothing is there. */
export function dataDirIn(document: JsonObject): string {
  const dataDir = textIn(document, 'dataDir');
  return isAbsolute(dataDir) ? dataDir : DEFAULT_DATA_DIR;
}
