import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { CniError } from '../../../lib/cni/errors.ts';
import { ioError, isMissing } from '../../../lib/sys/io-error.ts';
import { isObjectName, type NodeNameSources } from '../place.ts';

const HOST_NAME = '/etc/hostname';

/** So much of a file is read. */
const LONGEST = 1024;

/**
 * The name of this node in the cluster, from where the Go plugin has it: NODENAME of the environment, else the file
 * `nodename` of its installer, else the name of the host.
 *
 * @throws CniError invalidNetworkConfig when none of them says it; ioFailure
 */
export function nodeNameOf({ env, folder }: NodeNameSources, hostName = HOST_NAME): string {
  const files = [...(folder === '' ? [] : [join(folder, 'nodename')]), hostName];
  const sources = [
    { where: 'NODENAME of the environment', read: () => env },
    ...files.map((path) => ({ where: `"${path}"`, read: () => beginningOf(path) })),
  ];
  for (const { where, read } of sources) {
    const name = read().trim();
    if (isObjectName(name)) {
      return name;
    }
    if (name !== '') {
      throw fault(`${where} says "${name}", which is not a lower case RFC 1123 name`);
    }
  }
  throw fault(`${sources.map(({ where }) => where).join(', ')} are empty or missing`);
}

const fault = (why: string): CniError =>
  new CniError('invalidNetworkConfig', `cannot tell the name of this node, which has slices by its name: ${why}`);

/** @returns '' when there is none */
function beginningOf(path: string): string {
  try {
    const fd = openSync(path, 'r');
    try {
      const bytes = Buffer.alloc(LONGEST);
      return bytes.toString('utf8', 0, readSync(fd, bytes));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    // A "configuration_path" may name a file, as well as a folder.
    if (isMissing(error) || (error as NodeJS.ErrnoException).code === 'ENOTDIR') {
      return '';
    }
    throw ioError('read', path, error);
  }
}
