import { readFileSync } from 'node:fs';
import { count } from '../../lib/cli/table.ts';
import { CniError, messageOf } from '../../lib/cni/errors.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { formatCidr } from '../../lib/net/cidr.ts';
import type { Env } from '../../lib/sys/execute.ts';
import { ioError } from '../../lib/sys/io-error.ts';
import { readExported } from './exported.ts';
import { readHostLocal, type Skipped } from './import-host-local.ts';
import { containersHere, importInto, withPod } from './import-into.ts';
import { type OfFile, type OfRange, readWanted, type Wanted } from './import-wanted.ts';

import type { Entry } from './pool.ts';

type Print = (line: string) => void;

/** `braid ipam import` */
export async function runImport(args: readonly string[], scope: Scope, print: Print, env?: Env): Promise<number> {
  const wanted = readWanted(args, env);
  if (wanted.source === undefined) {
    return importFromCluster(wanted, scope, print);
  }
  if (wanted.cidr === undefined) {
    return importFile({ ...wanted, source: wanted.source }, scope, print);
  }
  await importFolder({ ...wanted, source: wanted.source, cidr: wanted.cidr }, scope, print);
  return 0;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw ioError('read', path, error);
  }
}

/** An export, or pools of NVIDIA's plugin: the modules about these are loaded when it is no export. */
async function importFile(wanted: OfFile, scope: Scope, print: Print): Promise<number> {
  const { source, place, asJson } = wanted;
  const text = textOf(source);
  const pools = isExport(text) ? undefined : await nvPoolsInText(source, text);
  if (pools !== undefined) {
    return (await import('./nv-ipam/import.ts')).importNvIpam({ ...wanted, pools }, scope, print);
  }
  const all: { readonly networkName: string; readonly added: number; readonly present: number }[] = [];
  const networks = readExported(source, text);
  const here = place.kind === 'file' ? new Map<string, string>() : await containersHere(scope);
  const origin = { isAcross: false, isOfNode: ({ id }: Entry): boolean => here.has(id) };
  for (const { networkName, addresses } of networks) {
    const done = await importInto({ ...place, networkName }, addresses, origin, scope);
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
  return 0;
}

function isExport(text: string): boolean {
  try {
    const document: unknown = JSON.parse(text);
    return typeof document === 'object' && document !== null && 'format' in document;
  } catch {
    return false;
  }
}

/** @returns undefined when there are none, or it is no YAML */
async function nvPoolsInText(path: string, text: string) {
  const { parseYamlDocuments } = await import('../../lib/kube/yaml.ts');
  const { nvPoolsIn } = await import('./nv-ipam/objects.ts');
  let documents: readonly unknown[];
  try {
    documents = await parseYamlDocuments(text);
  } catch {
    return undefined;
  }
  try {
    return nvPoolsIn(documents);
  } catch (error) {
    throw new CniError('ioFailure', `cannot import "${path}": ${messageOf(error)}`, { cause: error });
  }
}

async function importFromCluster(wanted: Wanted, scope: Scope, print: Print): Promise<number> {
  const { accessTo } = await import('./cluster/kube-access.ts');
  const { importNvIpam, nvPoolsOf } = await import('./nv-ipam/import.ts');
  const { place } = wanted;
  if (place.kind === 'file') {
    throw new TypeError('a folder has no objects');
  }
  using access = accessTo(place);
  return await importNvIpam({ ...wanted, pools: await nvPoolsOf(await access.open()) }, scope, print);
}

/** No store is made when there is nothing to import. */
async function importFolder({ source, cidr, place, asJson }: OfRange, scope: Scope, print: Print): Promise<void> {
  const range = formatCidr(cidr);
  const { addresses, skipped } = readHostLocal(source, cidr);
  const pods = place.kind === 'file' ? new Map<string, string>() : await containersHere(scope);
  const own = addresses.map((one) => withPod(one, pods));
  const taken = await importInto(place, own, { isAcross: true, isOfNode: () => true }, scope);
  if (asJson) {
    print(JSON.stringify({ range, ...taken, skipped }, null, 2));
    return;
  }
  reportFolder(source, { range, ...taken, skipped }, print);
  const nameless = own.filter(({ entry }) => entry.podref === '').length;
  if (place.kind === 'kubernetes' && nameless > 0) {
    print(`the pods of ${count(nameless, 'address', 'addresses')} are not known: only their own DEL frees them`);
  }
}

interface Imported {
  readonly range: string;
  readonly added: number;
  readonly present: number;
  readonly skipped: readonly Skipped[];
}

function reportFolder(source: string, { range, added, present, skipped }: Imported, print: Print): void {
  for (const { file, reason } of skipped) {
    print(`skipped "${file}": ${reason}`);
  }
  print(
    added + present === 0
      ? `nothing to import from "${source}"`
      : `imported ${count(added, 'address', 'addresses')} of range ${range}; ${present} already there`,
  );
}
