import { isTooLong, LONGEST_WRITABLE } from '../sys/file-name.ts';
import { CniError, type CodeWord } from './errors.ts';

/** Owner of a record, as far as its file name says. */
export interface RecordOwner {
  readonly network?: string;
  readonly containerId: string;
  readonly ifName?: string;
}

/** File name of a record: network, container ID and interface name, as far as given, joined by dashes. */
export const recordName = ({ network, containerId, ifName }: RecordOwner): string =>
  [network, containerId, ifName].filter((part) => part !== undefined).join('-');

/**
 * Refuses an attachment whose record's name would be too long, before anything changes. DEL need not refuse: such a
 * record cannot exist.
 *
 * @throws CniError badEnv; invalidNetworkConfig when the network name is longer than the container ID
 */
export function refuseLongRecord(owner: RecordOwner): void {
  const name = recordName(owner);
  if (!isTooLong(name)) {
    return;
  }
  const { network = '', containerId } = owner;
  const [code, what, value]: [CodeWord, string, string] =
    network.length > containerId.length
      ? ['invalidNetworkConfig', 'the network name', network]
      : ['badEnv', 'CNI_CONTAINERID', containerId];
  const length = Buffer.byteLength(name);
  throw new CniError(
    code,
    `cannot use ${what} "${value}": it is too long: the file name of its record would have ${length} bytes, at most ${LONGEST_WRITABLE} are possible`,
    { details: name },
  );
}
