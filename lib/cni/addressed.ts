import { configuring, planAddresses } from '../link/addressing.ts';
import { type DownLink, setUp } from '../link/link.ts';
import { settle } from '../link/settle.ts';
import type { Netns } from '../netns/netns.ts';
import type { AttachmentCall, DeletionCall } from './call.ts';
import { asCniError, CniError } from './errors.ts';
import { ipamAdd, ipamDel, ipamType } from './ipam.ts';
import { type Dns, EMPTY_RESULT, formatResult, type Interface, type Result } from './result.ts';
import { type Scope, scopeWith } from './scope.ts';
import type { Undo } from './undo.ts';
import { familyOf } from './versions.ts';

/** A link in the pod, not yet up. */
export interface MadeLink {
  readonly netns: Netns;
  readonly link: DownLink;
  /** its entry of the result */
  readonly own: Interface;
  /** from the configuration; absent: from the IPAM plugin */
  readonly dns?: Dns;
  /** Takes the link away: its addresses may be released only after that. */
  readonly takeAway: (scope: Scope) => void | Promise<void>;
  /** addresses and routes in addition to those of the IPAM plugin */
  readonly more?: Pick<Result, 'ips' | 'routes'>;
}

/**
 * The second half of ADD: gets addresses from the IPAM plugin if one is configured, sets the link up with them, adds
 * routes, and waits for duplicate address detection.
 *
 * @returns the plugin's result: one interface with all addresses
 * @throws CniError, ErrnoError; `undo` reverts what was done
 */
export async function addressLink(
  call: AttachmentCall<unknown>,
  scope: Scope,
  made: MadeLink,
  undo: Undo,
): Promise<Result> {
  const { netns, link, own, dns, more = EMPTY_RESULT } = made;
  const type = ipamType(call.document);
  if (type === 'dhcp') {
    await setUp(netns.netlink, link);
  }
  const owed: Promise<void>[] = [];
  const leases = type === '' ? EMPTY_RESULT : await ipamAdd(call, owingTo(owed, scope), undo, made.takeAway);
  const ips = [...more.ips, ...leases.ips].map((ip) => ({ ...ip, interface: 0 }));
  const result: Result = { interfaces: [own], ips, routes: [...more.routes, ...leases.routes], dns: dns ?? leases.dns };
  if (ips.length === 0 && result.routes.length === 0) {
    await setUp(netns.netlink, link);
    await Promise.all(owed);
    return result;
  }
  const plan = planAddresses(result, link.name);
  await scope.setUpLink(netns, configuring(netns, link, plan, scope.log));
  if (plan.addresses.some(({ ip }) => ip.family === 6)) {
    await scope.span('duplicate address detection', () => settle(netns.netlink, link, scope));
  }
  await Promise.all(owed);
  return result;
}

/**
 * The same scope, which leaves it to us to wait for what the IPAM plugin owes: that its record survives a power cut. The
 * link gets its addresses meanwhile, since no power cut leaves it either.
 */
const owingTo = (owed: Promise<void>[], scope: Scope): Scope =>
  scopeWith(scope, () => ({
    owe: async (work) => {
      work.catch(() => undefined); // whoever waits for it is told; perhaps nobody comes to that
      owed.push(work);
    },
  }));

/**
 * DEL: takes the interface away, then releases its addresses. As long as the interface is not proved gone, its
 * addresses stay reserved: an address in use must not be given to another pod.
 *
 * @throws CniError of the first failure
 */
export async function releaseAfter(call: DeletionCall, scope: Scope, takeAway: () => Promise<void>): Promise<void> {
  const hasAddresses = ipamType(call.document) !== '';
  try {
    await takeAway();
  } catch (error) {
    const { code, message, details } = asCniError(error);
    throw hasAddresses
      ? new CniError(code, `${message}; its addresses stay reserved`, { ...(details ? { details } : {}), cause: error })
      : error;
  }
  if (hasAddresses) {
    await ipamDel(call, scope);
  }
}

/** Results before 0.3.0 cannot express "no address": refuse that before anything changes. */
export function refuseUnprintable(call: AttachmentCall<unknown>): void {
  if (ipamType(call.document) === '' && familyOf(call.version) === '0.1') {
    formatResult(EMPTY_RESULT, call.version);
  }
}
