import { isAbsolute } from 'node:path';
import { CniError } from '../../lib/cni/errors.ts';

export const DEFAULT_DATA_DIR = '/var/lib/cni/whereabouts';

/** Kubernetes' rule for names of objects (RFC 1123), so that the same configuration fits both datastores. */
const OBJECT_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LONGEST_NAME = 253;

/** Where a network is kept. */
export type StorePlace = FilePlace | ClusterPlace;

/** On this node. */
export interface FilePlace {
  readonly kind: 'file';
  readonly dataDir: string;
  /** '' for ranges that belong to no named network */
  readonly networkName: string;
}

/** Behind an API server, for all nodes of a cluster. */
export interface ClusterPlace {
  readonly kind: 'kubernetes';
  readonly kubeconfig: string;
  /** where this node keeps its journal */
  readonly dataDir: string;
  readonly networkName: string;
  readonly concurrency: Concurrency;
  /** of `lease` only */
  readonly lease?: LeaseTiming;
  /** Each node has a slice of each range; absent: ranges are for all nodes. */
  readonly slices?: Slicing;
}

/** How long a Lease is good, and how often it is tried for and renewed. */
export interface LeaseTiming {
  readonly durationMs: number;
  /** Whoever could not renew it for so long has lost it. */
  readonly renewMs: number;
  readonly retryMs: number;
}

/** The Go plugin's. */
export const DEFAULT_TIMING: LeaseTiming = { durationMs: 1500, renewMs: 1000, retryMs: 500 };

/** By how much of itself a pause between tries is longer at most, so that not all try at once. */
export const JITTER = 1.2;

/** How a node knows which slices are its own. */
export interface Slicing {
  /** name of the NodeSlicePool of the first range */
  readonly pool: string;
  readonly nodeName: NodeNameSources;
}

export interface NodeNameSources {
  /** NODENAME of the environment, or '' */
  readonly env: string;
  /** that may have a file `nodename`, or '' */
  readonly folder: string;
}

/** How writers of one pool keep out of each other's way. */
export type Concurrency = 'cas' | 'strict' | 'lease';

/** @throws CniError invalidNetworkConfig when the folder or the name cannot be used */
export function placeOf(dataDir: string, networkName: string): FilePlace {
  if (dataDir !== '' && !isAbsolute(dataDir)) {
    throw confFault('ipam.data_dir', dataDir, 'it is not an absolute path');
  }
  if (networkName !== '' && !isObjectName(networkName)) {
    throw confFault('ipam.network_name', networkName, 'it is not a lower case RFC 1123 name');
  }
  return { kind: 'file', dataDir: dataDir === '' ? DEFAULT_DATA_DIR : dataDir, networkName };
}

export const isObjectName = (name: string): boolean => name.length <= LONGEST_NAME && OBJECT_NAME.test(name);

/** The same for two places that are one. */
export const placeKey = ({ dataDir, networkName }: FilePlace): string => `${dataDir} ${networkName}`;

/** A value of the configuration that cannot be used. */
export const confFault = (key: string, value: string, why: string): CniError =>
  new CniError('invalidNetworkConfig', `cannot use "${key}" "${value}": ${why}`);
