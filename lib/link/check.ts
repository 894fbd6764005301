import { CniError } from '../cni/errors.ts';
import { type Cidr, formatCidr, masked } from '../net/cidr.ts';
import { type Ip, sameIp } from '../net/ip.ts';
import type { Conversation } from '../netlink/conversation.ts';
import { type AddressPlan, type LinkRef, routeText } from './addressing.ts';
import { listAddresses } from './observe.ts';
import { listRoutes, type RouteFacts, type RoutePlan } from './routes.ts';

/**
 * Compares the addresses and routes of a link with what they should be.
 *
 * @throws CniError internal naming what is missing
 */
export async function checkAddresses(netlink: Conversation, link: LinkRef, plan: AddressPlan): Promise<void> {
  const addresses = await listAddresses(netlink, link.index);
  for (const wanted of plan.addresses) {
    if (!addresses.some(({ ip, prefix }) => prefix === wanted.prefix && sameIp(ip, wanted.ip))) {
      throw new CniError('internal', `cannot find address ${formatCidr(wanted)} on "${link.name}"`);
    }
  }
  if (plan.routes.length === 0) {
    return;
  }
  const routes = await listRoutes(netlink);
  for (const wanted of plan.routes) {
    if (!routes.some((route) => matches(route, wanted, link.index))) {
      throw new CniError('internal', `cannot find route ${routeText(wanted, link.name)}`);
    }
  }
}

function matches(route: RouteFacts, wanted: RoutePlan, index: number): boolean {
  return (
    sameCidr(route.destination, wanted.destination) &&
    (wanted.table === undefined || route.table === wanted.table) && // a plugin after this one may have moved it (sbr)
    leadsTo(route, index) &&
    sameGateway(route, wanted) &&
    (!wanted.priority || route.priority === wanted.priority) &&
    (!wanted.mtu || route.mtu === wanted.mtu) &&
    (!wanted.advmss || route.advmss === wanted.advmss)
  );
}

const leadsTo = (route: RouteFacts, index: number): boolean =>
  route.outputIndex === index || route.nextHops.some((hop) => hop.index === index);

/**
 * A route with several ways out carries its gateways within them: there only the link is compared. One that names none
 * may have none: those that a pod has inherited are as the kernel told them.
 */
const sameGateway = (route: RouteFacts, wanted: RoutePlan): boolean =>
  route.nextHops.length > 0 ||
  sameOptionalIp(route.gateway, wanted.gateway) ||
  (wanted.isGuess === true && route.gateway === undefined);

const sameOptionalIp = (a: Ip | undefined, b: Ip | undefined): boolean =>
  a === undefined || b === undefined ? a === b : sameIp(a, b);

const sameCidr = (a: Cidr, b: Cidr): boolean => a.prefix === b.prefix && sameIp(masked(a).ip, masked(b).ip);
