import type { ObjectMeta } from '../../../lib/kube/api.ts';
import { type Ip, parseIp, parseIpLenient } from '../../../lib/net/ip.ts';

/** Where multus says what a pod has got. */
export const NETWORK_STATUS = 'k8s.v1.cni.cncf.io/network-status';

/** One attachment, as multus reports it. */
export interface ReportedNetwork {
  /** `namespace/name` of the NetworkAttachmentDefinition; of the default network any name */
  readonly name: string;
  /** '' when it is not told */
  readonly ifname: string;
  readonly ips: readonly Ip[];
  readonly isDefault: boolean;
}

/**
 * What a pod has got, when multus has said it.
 *
 * @returns undefined when it has said nothing yet, or the pod is not one of multus
 * @throws Error when the annotation is malformed
 */
export function networkStatusOf({
  annotations,
}: Pick<ObjectMeta, 'annotations'>): readonly ReportedNetwork[] | undefined {
  const text = annotations?.[NETWORK_STATUS] ?? '';
  if (text === '') {
    return undefined;
  }
  const items: unknown = JSON.parse(text);
  if (!Array.isArray(items)) {
    throw new TypeError(`annotation "${NETWORK_STATUS}" is not a list`);
  }
  return items.map(reported);
}

function reported(item: unknown): ReportedNetwork {
  if (typeof item !== 'object' || item === null) {
    throw new TypeError(`annotation "${NETWORK_STATUS}" has an item that is not an object`);
  }
  const { name, interface: ifname, ips, default: isDefault } = item as Readonly<Record<string, unknown>>;
  return {
    name: typeof name === 'string' ? name : '',
    ifname: typeof ifname === 'string' ? ifname : '',
    ips: Array.isArray(ips) ? ips.flatMap(ipIn) : [],
    isDefault: isDefault === true,
  };
}

/** Some write the length of the prefix too. */
function ipIn(text: unknown): readonly Ip[] {
  const ip = typeof text === 'string' ? (parseIp(text) ?? parseIpLenient(text.split('/')[0] ?? '')) : undefined;
  return ip === undefined ? [] : [ip];
}
