import { isTooLong, LONGEST_WRITABLE } from '../sys/file-name.ts';
import { CniError, type CodeWord } from './errors.ts';

/** Whose a record is, as far as its file's name says it. */
export interface RecordOwner {
  readonly network?: string;
  readonly containerId: string;
  readonly ifName?: string;
}

/** The name of the file that keeps a record: what there is of network, container ID and interface name, with dashes. */
export const recordName = ({ network, containerId, ifName }: RecordOwner): string =>
  [network, containerId, ifName].filter((part) => part !== undefined).join('-');

/**
 * Refuses an attachment whose record could not be written, before anything is done. DEL has nothing to refuse: a record
 * that cannot be is not there.
 *
 * @throws CniError badEnv; invalidNetworkConfig where the network's name takes more of the room than the container ID
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
    `cannot use ${what} "${value}": it is too long: a record would be named with ${length} bytes, and ${LONGEST_WRITABLE} is the most`,
    { details: name },
  );
}
