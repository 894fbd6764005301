import { CniError, quoted } from '../../lib/cni/errors.ts';
import type { Result } from '../../lib/cni/result.ts';
import { addDefaultRoute, type RoutedLink, removeDefaultRoutes } from '../../lib/link/default-routes.ts';
import { findLink } from '../../lib/link/observe.ts';
import { type Family, type Ip, parseIp } from '../../lib/net/ip.ts';
import type { Netns } from '../../lib/netns/netns.ts';

/** What becomes of the default routes of one network of a pod, when one of its networks is to have them. */
export interface DefaultRoutes {
  /** as the scratch file of the Go plugin has it: this network's IPv4 default is dropped, and it gets none */
  readonly isFiltered4: boolean;
  readonly isFiltered6: boolean;
  /** one of a family at most */
  readonly gateways: readonly Ip[];
}

/**
 * Who keeps a default route: with `default-route` at one network all others lose theirs, and so does that network in a
 * family that it names no gateway of. An empty list takes them from all.
 *
 * @param wanted `default-route` of each network, in order; undefined is not the same as empty
 * @returns for each network; undefined when none wants anything, so that nothing is touched
 * @throws CniError invalidNetworkConfig for a gateway that is none, and two of one family
 */
export function planDefaultRoutes(
  wanted: readonly (readonly string[] | undefined)[],
): readonly DefaultRoutes[] | undefined {
  if (wanted.every((list) => list === undefined)) {
    return undefined;
  }
  const gateways = wanted.map((list = []) => list.map(gatewayOf));
  for (const family of [4, 6] as const) {
    if (gateways.flat().filter((ip) => ip.family === family).length > 1) {
      throw new CniError('invalidNetworkConfig', 'multus does not support ECMP for default-route');
    }
  }
  return gateways.map((own) => ({ isFiltered4: !hasOf(own, 4), isFiltered6: !hasOf(own, 6), gateways: own }));
}

const hasOf = (gateways: readonly Ip[], family: Family): boolean => gateways.some((ip) => ip.family === family);

function gatewayOf(text: string): Ip {
  const ip = parseIp(text);
  if (ip === undefined) {
    throw new CniError('invalidNetworkConfig', `cannot use "default-route" ${quoted(text)}: it is not an IP address`);
  }
  return ip;
}

/** A network that is attached. */
export interface RoutedNetwork {
  readonly ifName: string;
  readonly result: Pick<Result, 'interfaces'>;
  readonly routes: DefaultRoutes;
}

/**
 * Leaves the pod with the default routes that are planned, and no others: first those of all networks are removed, of
 * their interfaces only, then gateways added. Router advertisements bring none back.
 *
 * @param netns of the pod
 * @throws ErrnoError when a gateway cannot be reached; CniError when its interface is missing
 */
export async function applyDefaultRoutes(netns: Netns, networks: readonly RoutedNetwork[]): Promise<void> {
  const links = new Map<string, RoutedLink>();
  for (const name of new Set(networks.flatMap(interfacesOf))) {
    const link = await findLink(netns.netlink, name);
    if (link !== undefined) {
      links.set(name, link);
      // there is no such file without IPv6, and then nothing to be afraid of
      netns.writeSysctls([[`net/ipv6/conf/${link.name}/accept_ra_defrtr`, '0']]);
      await removeDefaultRoutes(netns.netlink, link);
    }
  }
  for (const { ifName, routes } of networks) {
    for (const gateway of routes.gateways) {
      await addGateway(netns, ifName, links.get(ifName), gateway);
    }
  }
}

/** A network may have made more than the interface that it was asked for. */
const interfacesOf = ({ ifName, result }: RoutedNetwork): readonly string[] => [
  ifName,
  ...result.interfaces.flatMap(({ name, sandbox }) => (sandbox === undefined || name === '' ? [] : [name])),
];

async function addGateway(netns: Netns, ifName: string, link: RoutedLink | undefined, gateway: Ip): Promise<void> {
  if (link === undefined) {
    throw new CniError('internal', `cannot add a default route to interface "${ifName}": it does not exist`);
  }
  await addDefaultRoute(netns.netlink, link, gateway);
}
