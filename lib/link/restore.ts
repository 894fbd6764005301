import { uptime } from 'node:os';
import { messageOf } from '../cni/errors.ts';
import {
  agedAddress,
  decodeAddress,
  IFA_F_TENTATIVE,
  RTM_NEWADDR,
  reindexedAddress,
} from '../netlink/codec/address.ts';
import { askedRoute, decodeRoute, expiryOf, RTM_NEWROUTE, routesThrough } from '../netlink/codec/route.ts';
import { askedRule, RTM_NEWRULE } from '../netlink/codec/rule.ts';
import { AF_INET6, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from '../netlink/constants.ts';
import type { Conversation, Request } from '../netlink/conversation.ts';
import { hasErrno } from '../netlink/errno.ts';
import { flatMapInTurn, mapInTurn } from '../sys/in-turn.ts';
import { listAddresses } from './observe.ts';
import type { NetworkState } from './saved-state.ts';
import { addressText, routeText, ruleText } from './told.ts';

/*
 * What a link had is asked for again, for a link of whatever index. What is there already is no failure. Each function
 * returns what could not be had.
 */

const SETTLE_MS = 3_000;
const PAUSE_MS = 20;

/** Addresses with what is left of their lifetimes. Routes need the link to be up. */
export function restoreAddresses(netlink: Conversation, kept: NetworkState, index: number): Promise<readonly string[]> {
  const left = asAdded(kept.addresses).flatMap((body) => agedAddress(body, ageOf(kept)) ?? []);
  return flatMapInTurn(left, (body) => {
    const request = { type: RTM_NEWADDR, body: [reindexedAddress(body, index)], flags: NLM_F_CREATE | NLM_F_EXCL };
    return faultOf(netlink, { ...request, operation: `restore address ${addressText(body)}` });
  });
}

export const restoreRules = (netlink: Conversation, { rules }: NetworkState): Promise<readonly string[]> =>
  flatMapInTurn(rules, (body) => {
    const request = { type: RTM_NEWRULE, body: [askedRule(body)], flags: NLM_F_CREATE | NLM_F_EXCL };
    return faultOf(netlink, { ...request, operation: `restore rule ${ruleText(body)}` });
  });

/**
 * The link's routes, in the namespace that it comes back to. Of several ways out an IPv6 route has lost those through the
 * link: what is left of it is replaced, so that they have their order. An IPv4 route is gone as a whole.
 */
export function restoreRoutes(netlink: Conversation, kept: NetworkState, index: number): Promise<readonly string[]> {
  const isCut = (body: Buffer): boolean => isIpv6Route(body) && decodeRoute(body).attributes.multipath !== undefined;
  const routes = kept.routes.flatMap((body) => asked(body, kept, index, isCut(body) ? NLM_F_REPLACE : NLM_F_APPEND));
  return askUntilAllIsSaid(netlink, routes, index);
}

/** The link's routes in another namespace: without ways out through other links, which are not there. */
export function copyRoutes(netlink: Conversation, kept: NetworkState, index: number): Promise<readonly string[]> {
  const own = kept.routes.flatMap((body) => routesThrough(body, kept.index, isIpv6Route(body)));
  return askUntilAllIsSaid(
    netlink,
    own.flatMap((body) => asked(body, kept, index, NLM_F_APPEND)),
    index,
  );
}

const isIpv6Route = (body: Buffer): boolean => decodeRoute(body).family === AF_INET6;

interface AskedRoute {
  readonly operation: string;
  readonly body: Buffer;
  /** NLM_F_… */
  readonly flags: number;
}

/**
 * A route may need another one to reach its gateway, and an IPv6 one its source address, which nobody can use while
 * duplicates of it are looked for: those that fail are tried again as long as some succeed, and when all is settled.
 */
async function askUntilAllIsSaid(
  netlink: Conversation,
  routes: readonly AskedRoute[],
  index: number,
): Promise<readonly string[]> {
  const first = await askWhileSomeSucceed(netlink, routes);
  if (!first.waiting.some(({ body }) => isIpv6Route(body) && decodeRoute(body).attributes.source !== undefined)) {
    return first.faults;
  }
  await settled(netlink, index);
  return (await askWhileSomeSucceed(netlink, first.waiting)).faults;
}

interface Asking {
  readonly waiting: readonly AskedRoute[];
  readonly faults: readonly string[];
}

async function askWhileSomeSucceed(netlink: Conversation, routes: readonly AskedRoute[]): Promise<Asking> {
  let waiting = routes;
  let faults: readonly string[] = [];
  for (let before = waiting.length + 1; waiting.length < before && waiting.length > 0; ) {
    before = waiting.length;
    const tried = await mapInTurn(waiting, async (route) => ({
      route,
      fault: await faultOf(netlink, { ...route, type: RTM_NEWROUTE, body: [route.body] }),
    }));
    waiting = tried.flatMap(({ route, fault }) => (fault.length === 0 ? [] : [route]));
    faults = tried.flatMap(({ fault }) => fault);
  }
  return { waiting, faults };
}

/** Without carrier it never is: not for long. */
async function settled(netlink: Conversation, index: number): Promise<void> {
  const isTentative = async (): Promise<boolean> =>
    (await listAddresses(netlink, index)).some(({ flags }) => (flags & IFA_F_TENTATIVE) !== 0);
  for (let waited = 0; waited < SETTLE_MS && (await isTentative()); waited += PAUSE_MS) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/**
 * Not when it has ended by now.
 *
 * @param how NLM_F_APPEND: of equal ones the first is used
 */
function asked(body: Buffer, kept: NetworkState, index: number, how: number): readonly AskedRoute[] {
  const expires = expiryOf(decodeRoute(body).attributes);
  const left = expires === undefined ? undefined : expires - ageOf(kept);
  return left === undefined || left > 0
    ? [
        {
          operation: `restore route ${routeText(body)}`,
          body: askedRoute(body, kept.index, index, left),
          flags: NLM_F_CREATE | how,
        },
      ]
    : [];
}

/** Whole seconds since it was told. */
const ageOf = ({ takenAt }: NetworkState): number =>
  takenAt === undefined ? 0 : Math.max(0, Math.floor(uptime()) - takenAt);

/** The kernel lists an IPv6 address before those that were there when it came. */
function asAdded(addresses: readonly Buffer[]): readonly Buffer[] {
  const isIpv6 = (body: Buffer): boolean => decodeAddress(body).family === AF_INET6;
  return [...addresses.filter((body) => !isIpv6(body)), ...addresses.filter(isIpv6).toReversed()];
}

/** What is there already is no fault. */
async function faultOf(netlink: Conversation, request: Request): Promise<readonly string[]> {
  try {
    await netlink.change(request);
    return [];
  } catch (error) {
    return hasErrno(error, 'EEXIST') ? [] : [messageOf(error)];
  }
}
