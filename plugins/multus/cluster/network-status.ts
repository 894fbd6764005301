/**
 * The annotation in which a pod shows its networks: multi-network specification 1.3, section 5, as the Go plugin writes
 * it. Other software reads the text.
 */
import { type JsonObject, pretty } from '../../../lib/cni/json.ts';
import { cidrOf, type Interface, type IpConfig, isEmptyDns, type Result, type Route } from '../../../lib/cni/result.ts';
import { familyOf, type Version } from '../../../lib/cni/versions.ts';
import { type Cidr, parseCidr } from '../../../lib/net/cidr.ts';
import { formatIp } from '../../../lib/net/ip.ts';
import type { RdmaStatus } from './rdma-status.ts';

/** What a network has given to the pod. */
export interface Attached {
  /** of the delegate: `<namespace>/<name>` of its object, or the name of its configuration */
  readonly name: string;
  /** the pod's own network */
  readonly isMaster: boolean;
  readonly result: Result;
  /** in which the result was given: those before 1.0.0 know no MTU */
  readonly version: Version;
  /** content of the device-info file, keys in the order of the specification */
  readonly deviceInfo?: JsonObject | undefined;
  readonly rdma?: RdmaStatus | undefined;
}

/** One element of the annotation, keys in order. */
export type NetworkStatus = JsonObject;

/** The elements of one network: none when its result names no interface. */
export function networkStatuses(attached: Attached): readonly NetworkStatus[] {
  const { interfaces, ips } = attached.result;
  const [only] = interfaces;
  if (only !== undefined && interfaces.length === 1) {
    const inSandbox = only.sandbox === undefined ? undefined : only;
    return [statusOf(attached, { link: inSandbox, ips, isDefault: attached.isMaster })];
  }
  const inSandbox = [...interfaces.keys()].filter((index) => interfaces[index]?.sandbox !== undefined);
  const main = attached.isMaster ? mainOf(attached.result, inSandbox) : undefined;
  return inSandbox.map((index) => {
    const isLast = index === inSandbox.at(-1);
    const own = ips.filter((ip) => ip.interface === index || (ip.interface === undefined && isLast));
    return statusOf(attached, { link: interfaces[index], ips: own, isDefault: index === main });
  });
}

/** The value of the annotation: each element on its own, four spaces deep. */
export const statusText = (statuses: readonly NetworkStatus[]): string => `[${statuses.map(pretty).join(',')}]`;

interface Part {
  /** undefined when it is not in the pod */
  readonly link: Interface | undefined;
  readonly ips: readonly IpConfig[];
  readonly isDefault: boolean;
}

function statusOf(
  { name, result, version, deviceInfo, rdma }: Attached,
  { link, ips, isDefault }: Part,
): NetworkStatus {
  const addresses = ips.map((ip) => formatIp(cidrOf(ip).ip));
  const gateways = gatewaysOf(result.routes);
  const mtu = familyOf(version) === '1.0' ? link?.mtu : undefined;
  return {
    name,
    ...(link === undefined || link.name === '' ? {} : { interface: link.name }),
    ...(addresses.length === 0 ? {} : { ips: addresses }),
    ...(link?.mac === undefined ? {} : { mac: link.mac }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(isDefault ? { default: true } : {}),
    dns: isEmptyDns(result.dns) ? {} : { ...result.dns },
    ...(deviceInfo === undefined ? {} : { 'device-info': deviceInfo }),
    ...(gateways.length === 0 ? {} : { gateway: gateways }),
    ...(rdma === undefined ? {} : { rdma: { ...rdma } }),
  };
}

/** Of several interfaces of the pod's own network, the one that has the gateway. */
function mainOf({ ips }: Result, inSandbox: readonly number[]): number | undefined {
  const withGateway = ips.find((ip) => ip.gateway !== undefined && ip.interface !== undefined);
  return withGateway?.interface ?? inSandbox[0];
}

/** Of all default routes: as such counts what leads to 0.0.0.0 or ::, whatever the length of the prefix. */
const gatewaysOf = (routes: readonly Route[]): readonly string[] =>
  routes.flatMap(({ dst, gw }) => (gw !== undefined && isUnspecified(parseCidr(dst)) ? [gw] : []));

const isUnspecified = (cidr: Cidr | undefined): boolean => cidr?.ip.value === 0n;
