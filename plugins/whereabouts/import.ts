import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { readOptions, WrongUsage } from '../../lib/cli/options.ts';
import { count } from '../../lib/cli/table.ts';
import type { Command } from '../../lib/cni/command.ts';
import { messageOf } from '../../lib/cni/errors.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { type Cidr, contains, formatCidr, masked, parseCidrLenient } from '../../lib/net/cidr.ts';
import { parseIp } from '../../lib/net/ip.ts';
import { ioError } from '../../lib/sys/io-error.ts';
import { openDatastore } from './datastore.ts';
import { readExported } from './exported.ts';
import { type ImportedAddress, planImport } from './import-plan.ts';
import { DEFAULT_DATA_DIR, type FilePlace, placeOf } from './place.ts';

type Print = (line: string) => void;

/**
 * Takes over the reservations of a host-local folder, for a node that changes over with running pods on it, or those of an
 * export.
 */
export const importCommand: Command = {
  name: 'ipam import',
  usage:
    'braid ipam import FOLDER --range CIDR [--network-name NAME] [--data-dir FOLDER] | braid ipam import FILE [--data-dir FOLDER]',
  about:
    'import what host-local has given out, or an export, into the "file" datastore; running pods keep their addresses',
  options: [
    ['FOLDER', "host-local's folder of one network, usually /var/lib/cni/networks/<network>"],
    ['FILE', 'what "braid ipam export" has printed; network names and ranges are in it'],
    [
      '--range CIDR',
      'of FOLDER only addresses in this range; one range of the new configuration, as it is written there',
    ],
    ['--network-name NAME', '"ipam.network_name" of the new configuration, if it has one'],
    ['--data-dir FOLDER', `"ipam.data_dir" of the new configuration (default ${DEFAULT_DATA_DIR})`],
    ['--json', 'print JSON'],
  ],
  run: async (args, scope, print) => {
    const wanted = readWanted(args);
    if (wanted.cidr === undefined) {
      await importFile(wanted, scope, print);
      return 0;
    }
    const folder = { ...wanted, cidr: wanted.cidr };
    const imported = await importFolder(folder, scope);
    if (wanted.asJson) {
      print(JSON.stringify(imported, null, 2));
    } else {
      report(folder, imported, print);
    }
    return 0;
  },
};

interface Wanted {
  readonly folder: string;
  /** undefined for a file */
  readonly cidr: Cidr | undefined;
  readonly place: FilePlace;
  readonly asJson: boolean;
}

type OfRange = Wanted & { readonly cidr: Cidr };

interface Imported {
  readonly range: string;
  readonly added: number;
  readonly present: number;
  readonly skipped: readonly Skipped[];
}

interface Skipped {
  readonly file: string;
  readonly reason: string;
}

/** @throws WrongUsage */
function readWanted(args: readonly string[]): Wanted {
  const { values, positionals } = readOptions(
    args,
    {
      range: { type: 'string' },
      'network-name': { type: 'string', default: '' },
      'data-dir': { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
    },
    1,
  );
  const [folder] = positionals;
  if (folder === undefined) {
    throw new WrongUsage("expected the folder of host-local's network, or the file of an export");
  }
  const place = placeIn(values['data-dir'], values['network-name']);
  if (isFile(folder)) {
    if (values.range !== undefined || values['network-name'] !== '') {
      throw new WrongUsage(`cannot use --range and --network-name with the file "${folder}": it names them`);
    }
    return { folder, cidr: undefined, place, asJson: values.json };
  }
  if (values.range === undefined) {
    throw new WrongUsage('expected --range: the range that the addresses are in');
  }
  const cidr = parseCidrLenient(values.range);
  if (cidr === undefined) {
    throw new WrongUsage(`cannot use --range "${values.range}": it is not a CIDR`);
  }
  return { folder, cidr: masked(cidr), place, asJson: values.json };
}

/** @throws WrongUsage */
function placeIn(dataDir: string, networkName: string): FilePlace {
  try {
    return placeOf(dataDir, networkName);
  } catch (error) {
    throw new WrongUsage(messageOf(error), { cause: error });
  }
}

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;

/** All of a network or nothing of it. */
async function importFile({ folder, place, asJson }: Wanted, scope: Scope, print: Print): Promise<void> {
  const all: { readonly networkName: string; readonly added: number; readonly present: number }[] = [];
  for (const { networkName, addresses } of readExported(folder)) {
    const ranges = [...new Set(addresses.map(({ range }) => range))];
    const store = openDatastore({ ...place, networkName }, scope);
    const done =
      addresses.length === 0
        ? { added: 0, present: 0 }
        : await store.add(ranges, (pools) => planImport(addresses, pools, false));
    all.push({ networkName, ...done });
    if (!asJson) {
      print(
        `imported ${count(done.added, 'address', 'addresses')} of ` +
          `${networkName === '' ? 'ranges without a network name' : `network "${networkName}"`}; ${done.present} already there`,
      );
    }
  }
  if (asJson) {
    print(JSON.stringify(all, null, 2));
  }
}

/** All of it or nothing. No store is made when there is nothing to import. */
async function importFolder({ folder, cidr, place }: OfRange, scope: Scope): Promise<Imported> {
  const range = formatCidr(cidr);
  const { addresses, skipped } = readHostLocal(folder, cidr);
  if (addresses.length === 0) {
    return { range, added: 0, present: 0, skipped };
  }
  const store = openDatastore(place, scope);
  return { range, ...(await store.add([range], (pools) => planImport(addresses, pools))), skipped };
}

function report({ folder }: OfRange, { range, added, present, skipped }: Imported, print: Print): void {
  for (const { file, reason } of skipped) {
    print(`skipped "${file}": ${reason}`);
  }
  print(
    added + present === 0
      ? `nothing to import from "${folder}"`
      : `imported ${count(added, 'address', 'addresses')} of range ${range}; ${present} already there`,
  );
}

/** host-local keeps a file for each address, named after it: the container ID, and since 2018 the interface name. */
function readHostLocal(folder: string, cidr: Cidr) {
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

/** What host-local keeps beside addresses. */
const isOwnFile = (name: string): boolean => name === 'lock' || name.startsWith('last_reserved_ip.');

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
