import { nameIn, parseCniArgs } from '../../lib/cni/args.ts';
import type { Json, JsonObject } from '../../lib/cni/json.ts';
import type { ArgPairs } from '../../lib/cni/result-cache.ts';
import type { RuntimeConfigConf } from './config.ts';

/** What a pod may ask for one of its networks. */
export interface Requests {
  readonly ifName?: string;
  readonly mac?: string;
  readonly infinibandGuid?: string;
  readonly ips?: readonly string[];
  readonly portMappings?: readonly JsonObject[];
  readonly bandwidth?: JsonObject;
  /** gateways; an empty list is not the same as none */
  readonly defaultRoute?: readonly string[];
  readonly deviceId?: string;
  readonly resourceName?: string;
}

/** The pod as CNI_ARGS name it; all empty outside Kubernetes. */
export interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly infraContainerId: string;
  readonly uid: string;
}

export const NO_POD: Pod = { namespace: '', name: '', infraContainerId: '', uid: '' };

const KEYS = {
  namespace: 'K8S_POD_NAMESPACE',
  name: 'K8S_POD_NAME',
  infraContainerId: 'K8S_POD_INFRA_CONTAINER_ID',
  uid: 'K8S_POD_UID',
} as const;

/** @throws CniError badEnv when CNI_ARGS are malformed or hold unknown keys, or names that are none */
export function podOf(cniArgs: string): Pod {
  const args = parseCniArgs(cniArgs, ['IP', ...Object.values(KEYS)]);
  return {
    namespace: nameIn(args, KEYS.namespace),
    name: nameIn(args, KEYS.name),
    infraContainerId: args[KEYS.infraContainerId] ?? '',
    uid: args[KEYS.uid] ?? '',
  };
}

/** How messages name the pod. */
export const podLabel = ({ namespace, name, uid }: Pod): string => `${namespace}/${name}/${uid}`;

/** How messages of a call about the pod begin. */
export const prefixOf = (pod: Pod): string => `Multus: [${podLabel(pod)}]`;

/** How log lines name it. */
export const logLabel = ({ namespace, name, uid }: Pod): string => `${namespace}:${name}:${uid || 'unknownUID'}`;

/**
 * CNI_ARGS of a delegate: the pod's five, then everything of our own CNI_ARGS once more. Plugins take the last of
 * equal keys, so the order matters.
 */
export function delegateArgs(pod: Pod, cniArgs: string, { mac, ips }: Requests): ArgPairs {
  const pairs: [string, string][] = [
    ['IgnoreUnknown', 'true'],
    [KEYS.namespace, pod.namespace],
    [KEYS.name, pod.name],
    [KEYS.infraContainerId, pod.infraContainerId],
    [KEYS.uid, pod.uid],
  ];
  for (const [key, value] of lenientPairs(cniArgs)) {
    const empty = pairs.find((pair) => pair[0] === key && pair[1] === '');
    if (empty === undefined) {
      pairs.push([key, value]);
    } else {
      empty[1] = value;
    }
  }
  if (mac) {
    pairs.push(['MAC', mac]);
  }
  if (ips && ips.length > 0) {
    pairs.push(['IP', ips.join(',')]);
  }
  return pairs;
}

/**
 * The capability arguments of a delegate: what the runtime supplied, and for networks but the first what the pod asked
 * for instead. Empty values are left out.
 */
export function capabilityArgs(
  supplied: RuntimeConfigConf | undefined,
  requests: Requests,
  isMaster: boolean,
): JsonObject {
  const asked = isMaster ? {} : requests;
  const { bandwidth } = supplied ?? {};
  const args: Record<string, Json | undefined> = {
    CNIDeviceInfoFile: supplied?.CNIDeviceInfoFile,
    bandwidth:
      asked.bandwidth ??
      (bandwidth && {
        ingressRate: bandwidth.ingressRate,
        ingressBurst: bandwidth.ingressBurst,
        egressRate: bandwidth.egressRate,
        egressBurst: bandwidth.egressBurst,
      }),
    deviceID: asked.deviceId || supplied?.deviceID,
    infinibandGUID: asked.infinibandGuid || supplied?.infinibandGUID,
    ips: asked.ips?.length ? asked.ips : supplied?.ips,
    mac: asked.mac || supplied?.mac,
    portMappings:
      asked.portMappings ??
      supplied?.portMappings.map(({ hostPort, containerPort, protocol, hostIP }) => ({
        hostPort,
        containerPort,
        ...(protocol === '' ? {} : { protocol }),
        ...(hostIP === '' ? {} : { hostIP }),
      })),
  };
  return Object.fromEntries(Object.entries(args).filter(([, value]) => !isEmpty(value)));
}

function isEmpty(value: Json | undefined): boolean {
  return value === undefined || value === '' || (Array.isArray(value) && value.length === 0);
}

/** Split at the first "=": malformed parts were refused before, or, in DEL, are passed over. */
function lenientPairs(cniArgs: string): ArgPairs {
  return cniArgs.split(';').flatMap((part) => {
    const at = part.indexOf('=');
    return at < 0 ? [] : [[part.slice(0, at), part.slice(at + 1)] as const];
  });
}
