import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { type Cidr, contains, formatCidr } from '../../lib/net/cidr.ts';
import { parseIp } from '../../lib/net/ip.ts';
import { ioError } from '../../lib/sys/io-error.ts';
import type { ImportedAddress } from './import-plan.ts';

export interface Skipped {
  readonly file: string;
  readonly reason: string;
}

export interface HostLocal {
  readonly addresses: readonly ImportedAddress[];
  readonly skipped: readonly Skipped[];
}

/**
 * host-local keeps a file for each address, named after it: the container ID, and since 2018 the interface name.
 *
 * @throws CniError ioFailure
 */
export function readHostLocal(folder: string, cidr: Cidr): HostLocal {
  const network = basename(resolve(folder));
  const addresses: ImportedAddress[] = [];
  const skipped: Skipped[] = [];
  for (const file of namesIn(folder).filter((name) => !isOwnFile(name))) {
    const ip = parseIp(file);
    const isWanted = ip !== undefined && contains(cidr, ip);
    const [id = '', ifname = ''] = isWanted ? readLines(join(folder, file)) : [];
    if (!isWanted) {
      skipped.push({ file, reason: ip === undefined ? 'not an address' : `not in range ${formatCidr(cidr)}` });
    } else if (id === '') {
      skipped.push({ file, reason: 'names no container' });
    } else {
      addresses.push({ range: formatCidr(cidr), ip, entry: { id, podref: '', ifname, network } });
    }
  }
  return { addresses, skipped };
}

/** What host-local keeps beside addresses: Go's, and ours. */
const isOwnFile = (name: string): boolean => ['lock', '.owners'].includes(name) || name.startsWith('last_reserved_ip.');

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    throw ioError('read folder', folder, error);
  }
}

function readLines(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8')
      .split(/\r?\n/)
      .map((line) => line.trim());
  } catch (error) {
    throw ioError('read', path, error);
  }
}
