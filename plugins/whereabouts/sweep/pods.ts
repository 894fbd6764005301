import type { KubeObject } from '../../../lib/kube/api.ts';
import { type Ip, parseIp, sameIp } from '../../../lib/net/ip.ts';
import { networkStatusOf, type ReportedNetwork } from './network-status.ts';

/** A pod as an API server gives it; lists of metadata alone have no status. */
export interface PodObject extends KubeObject {
  readonly status?: {
    readonly phase?: string;
    readonly podIPs?: readonly { readonly ip?: string }[];
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason?: string }[];
  };
}

/** What the sweep knows of a pod. */
export interface PodFacts {
  readonly podref: string;
  readonly uid: string;
  /** by the server's clock */
  readonly createdMs: number;
  readonly isLeaving: boolean;
  /** undefined when the status was not asked for */
  readonly phase: string | undefined;
  /** its containers have ended for good, or its node is given up; false when the status was not asked for */
  readonly hasEnded: boolean;
  /** undefined: multus has said nothing, or nothing that can be read */
  readonly networks: readonly ReportedNetwork[] | undefined;
  /** of the pod's default network */
  readonly ownIps: readonly Ip[];
}

export const podrefOf = ({ metadata: { namespace = '', name } }: KubeObject): string => `${namespace}/${name}`;

export function podFacts(pod: PodObject): PodFacts {
  const { metadata, status } = pod;
  return {
    podref: podrefOf(pod),
    uid: metadata.uid ?? '',
    createdMs: Date.parse(metadata.creationTimestamp ?? '') || 0,
    isLeaving: metadata.deletionTimestamp !== undefined,
    phase: status?.phase,
    hasEnded: hasEnded(status),
    networks: readableNetworks(pod),
    ownIps: (status?.podIPs ?? []).flatMap(({ ip = '' }) => parseIp(ip) ?? []),
  };
}

function readableNetworks({ metadata }: PodObject): readonly ReportedNetwork[] | undefined {
  try {
    return networkStatusOf(metadata);
  } catch {
    return undefined; // who cannot be read loses nothing
  }
}

/** A pod whose node was given up is deleted by the taint manager, and stays until the node comes back. */
const hasEnded = (status: PodObject['status']): boolean =>
  ['Succeeded', 'Failed'].includes(status?.phase ?? '') ||
  (status?.conditions ?? []).some(
    ({ type, status: is, reason }) =>
      type === 'DisruptionTarget' && is === 'True' && reason === 'DeletionByTaintManager',
  );

/** Does the pod have this address, on whichever network? */
export const hasAddress = ({ networks = [], ownIps }: PodFacts, ip: Ip): boolean =>
  networks.some(({ ips }) => ips.some((one) => sameIp(one, ip))) || ownIps.some((one) => sameIp(one, ip));

/** `lab/db-0` is the pod `db-0` in `lab`. @returns undefined for what is none */
export function podNamed(podref: string): { readonly namespace: string; readonly name: string } | undefined {
  const [namespace = '', name = '', ...more] = podref.split('/');
  return namespace === '' || name === '' || more.length > 0 ? undefined : { namespace, name };
}
