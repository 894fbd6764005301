import { readFileSync, statSync } from 'node:fs';
import { readOptions, WrongUsage } from '../../lib/cli/options.ts';
import { count } from '../../lib/cli/table.ts';
import { CniError, messageOf } from '../../lib/cni/errors.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { type Cidr, formatCidr, masked, parseCidrLenient } from '../../lib/net/cidr.ts';
import type { Env } from '../../lib/sys/execute.ts';
import { ioError } from '../../lib/sys/io-error.ts';
import { readExported } from './exported.ts';
import { readHostLocal, type Skipped } from './import-host-local.ts';
import { importInto, withPods } from './import-into.ts';
import { placeOf, type StorePlace } from './place.ts';

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

interface Wanted {
  /** folder or file; undefined for pools in the cluster */
  readonly source: string | undefined;
  /** undefined for a file */
  readonly cidr: Cidr | undefined;
  readonly reservations: string | undefined;
  readonly place: StorePlace;
  readonly asJson: boolean;
}

type OfFile = Wanted & { readonly source: string };
type OfRange = OfFile & { readonly cidr: Cidr };

/** @throws WrongUsage */
function readWanted(args: readonly string[], env: Env = {}): Wanted {
  const { values, positionals } = readOptions(
    args,
    {
      range: { type: 'string' },
      'network-name': { type: 'string', default: '' },
      reservations: { type: 'string' },
      'nv-ipam': { type: 'boolean', default: false },
      'data-dir': { type: 'string', default: '' },
      kubeconfig: { type: 'string' },
      'in-cluster': { type: 'boolean', default: false },
      namespace: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
    1,
  );
  const [source] = positionals;
  const { range, reservations, 'network-name': networkName } = values;
  const place = placeIn(values, env);
  const common = { source, reservations, place, asJson: values.json };
  if (values['nv-ipam']) {
    if (source !== undefined || place.kind === 'file') {
      throw new WrongUsage('expected --kubeconfig or --in-cluster with --nv-ipam, and no file');
    }
    return { ...common, source: undefined, cidr: undefined };
  }
  if (source === undefined) {
    throw new WrongUsage("expected the folder of host-local's network, or the file of an export or of NV-IPAM's pools");
  }
  if (isFile(source)) {
    if (range !== undefined || networkName !== '') {
      throw new WrongUsage(`cannot use --range and --network-name with the file "${source}": it names them`);
    }
    return { ...common, cidr: undefined };
  }
  if (range === undefined) {
    throw new WrongUsage('expected --range: the range that the addresses are in');
  }
  const cidr = parseCidrLenient(range);
  if (cidr === undefined) {
    throw new WrongUsage(`cannot use --range "${range}": it is not a CIDR`);
  }
  return { ...common, cidr: masked(cidr) };
}

interface PlaceWords {
  readonly 'network-name': string;
  readonly 'data-dir': string;
  readonly kubeconfig?: string | undefined;
  readonly 'in-cluster': boolean;
  readonly namespace?: string | undefined;
}

/** @throws WrongUsage */
function placeIn(words: PlaceWords, env: Env): StorePlace {
  const { kubeconfig, namespace } = words;
  const isInside = words['in-cluster'];
  if (kubeconfig !== undefined && isInside) {
    throw new WrongUsage('expected one place: --kubeconfig or --in-cluster');
  }
  try {
    const place = placeOf(words['data-dir'], words['network-name']);
    if (kubeconfig === undefined && !isInside) {
      return place;
    }
    return {
      ...place,
      kind: 'kubernetes',
      kubeconfig: kubeconfig ?? 'in-cluster',
      concurrency: 'cas',
      ...(namespace === undefined ? {} : { namespace }),
      ...(isInside ? { inCluster: env } : {}),
    };
  } catch (error) {
    throw new WrongUsage(messageOf(error), { cause: error });
  }
}

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;

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
  const [node] = networks.flatMap(({ nodes }) => nodes);
  if (place.kind === 'kubernetes' && node !== undefined) {
    const why = `it has slices of ranges for nodes ("${node}"), which a cluster divides by itself`;
    throw new CniError('internal', `cannot import "${source}": ${why}`);
  }
  for (const { networkName, addresses } of networks) {
    const origin = { isAcross: false, isOfNode: false };
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
  const { KubeAccess } = await import('./cluster/kube-access.ts');
  const { importNvIpam, nvPoolsOf } = await import('./nv-ipam/import.ts');
  const { place } = wanted;
  if (place.kind === 'file') {
    throw new TypeError('a folder has no objects');
  }
  using access = new KubeAccess(place);
  return importNvIpam({ ...wanted, pools: await nvPoolsOf(await access.open()) }, scope, print);
}

/** No store is made when there is nothing to import. */
async function importFolder({ source, cidr, place, asJson }: OfRange, scope: Scope, print: Print): Promise<void> {
  const range = formatCidr(cidr);
  const { addresses, skipped } = readHostLocal(source, cidr);
  const own = place.kind === 'file' ? addresses : await withPods(addresses, scope);
  const taken = await importInto(place, own, { isAcross: true, isOfNode: true }, scope);
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
