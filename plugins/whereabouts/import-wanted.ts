import { statSync } from 'node:fs';
import { readOptions, WrongUsage } from '../../lib/cli/options.ts';
import { messageOf } from '../../lib/cni/errors.ts';
import { type Cidr, masked, parseCidrLenient } from '../../lib/net/cidr.ts';
import type { Env } from '../../lib/sys/execute.ts';
import { placeOf, type StorePlace } from './place.ts';

/** What `braid ipam import` is to do. */
export interface Wanted {
  /** folder or file; undefined for pools in the cluster */
  readonly source: string | undefined;
  /** undefined for a file */
  readonly cidr: Cidr | undefined;
  readonly reservations: string | undefined;
  readonly place: StorePlace;
  readonly asJson: boolean;
}

export type OfFile = Wanted & { readonly source: string };
export type OfRange = OfFile & { readonly cidr: Cidr };

/** @throws WrongUsage */
export function readWanted(args: readonly string[], env: Env = {}): Wanted {
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
