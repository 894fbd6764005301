import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../../lib/cni/errors.ts';
import type { Command, Host } from '../../lib/cni/plugin.ts';
import { type Cidr, contains, formatCidr, masked, parseCidrLenient } from '../../lib/net/cidr.ts';
import { parseIp } from '../../lib/net/ip.ts';
import { ioError } from '../../lib/sys/io-error.ts';
import { openFileStore } from './file-store.ts';
import { type ImportedAddress, planImport } from './import-plan.ts';
import { placeOf, type StorePlace } from './place.ts';

const USAGE = 'braid ipam import <host-local dir> --range CIDR [--network-name N] [--data-dir D]';

/** Takes over the reservations of a host-local folder, for a node that changes over with running pods on it. */
export const importCommand: Command = {
  name: 'ipam import',
  usage: USAGE,
  about: 'take the addresses that host-local has given out into the "file" datastore',
  run: async (args, host, print) => {
    const wanted = readArgs(args);
    if (typeof wanted === 'string') {
      print(`${wanted}\nusage: ${USAGE}`);
      return 2;
    }
    try {
      await importFolder(wanted, host, print);
      return 0;
    } catch (error) {
      print(messageOf(error));
      return 1;
    }
  },
};

interface Wanted {
  readonly folder: string;
  readonly cidr: Cidr;
  readonly place: StorePlace;
}

function readArgs(args: readonly string[]): Wanted | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        range: { type: 'string' },
        'network-name': { type: 'string', default: '' },
        'data-dir': { type: 'string', default: '' },
      },
    });
    const [folder, ...rest] = positionals;
    const cidr = parseCidrLenient(values.range ?? '');
    if (folder === undefined || rest.length > 0) {
      return 'name one folder';
    }
    if (cidr === undefined) {
      return `--range "${values.range ?? ''}" is not a CIDR`;
    }
    return { folder, cidr: masked(cidr), place: placeOf(values['data-dir'], values['network-name']) };
  } catch (error) {
    return messageOf(error);
  }
}

async function importFolder(wanted: Wanted, host: Host, print: (line: string) => void): Promise<void> {
  const { folder, cidr, place } = wanted;
  const addresses = readHostLocal(folder, cidr, print);
  if (addresses.length === 0) {
    print(`nothing to import from "${folder}"`);
    return;
  }
  const store = openFileStore(place, host);
  const { added, present } = await store.change((state) => planImport(addresses, formatCidr(cidr), state));
  print(`imported ${added} addresses of range ${formatCidr(cidr)}; ${present} were there already`);
}

/** host-local keeps a file for each address, named after it: the container id, and since 2018 the interface name. */
function readHostLocal(folder: string, cidr: Cidr, print: (line: string) => void): readonly ImportedAddress[] {
  const network = basename(resolve(folder));
  return namesIn(folder).flatMap((name) => {
    const ip = parseIp(name);
    if (ip === undefined) {
      if (name !== 'lock' && !name.startsWith('last_reserved_ip.')) {
        print(`skipped "${name}": it is not an address`);
      }
      return [];
    }
    if (!contains(cidr, ip)) {
      print(`skipped ${name}: it is not in range ${formatCidr(cidr)}`);
      return [];
    }
    const [id = '', ifname = ''] = readLines(join(folder, name));
    if (id === '') {
      print(`skipped ${name}: its file names no container`);
      return [];
    }
    return [{ ip, entry: { id, podref: '', ifname, network } }];
  });
}

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
