import type { Undo } from '../../lib/cni/undo.ts';
import type { LinkRef } from '../../lib/link/addressing.ts';
import { copyingRoute, deleteRoute, deletingRoute, restoreRoute, tellRoutes } from '../../lib/link/route-tables.ts';
import { addingRoute } from '../../lib/link/routes.ts';
import { addingRule, deleteSourceRule } from '../../lib/link/rules.ts';
import { formatIp, type Ip } from '../../lib/net/ip.ts';
import type { Conversation, Request } from '../../lib/netlink/conversation.ts';
import { type ErrnoError, hasErrno } from '../../lib/netlink/errno.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import type { Plan, SourceTable } from './plan.ts';

/** `protocol` of the rules that this plugin makes: no routing daemon has it. */
export const RULE_PROTOCOL = 98;

/** A change, and what takes it back. */
interface Step {
  readonly request: Request;
  readonly undo: { readonly label: string; readonly run: () => Promise<void> };
  /** the errno that says that nothing was to be done */
  readonly unless?: string;
}

/**
 * Makes rules and tables, and then takes the routes out of the main table: until then they say whether a gateway can be
 * reached. Each with one datagram, of which the kernel goes on after what it refuses.
 *
 * @throws ErrnoError with the first refusal; what was done is undone
 */
export async function applyPlan({ tables, moved }: Plan, netns: Netns, link: LinkRef, undo: Undo): Promise<void> {
  const { netlink } = netns;
  await takeAll(
    netlink,
    undo,
    tables.flatMap((table) => stepsOf(table, netns, link)),
  );
  await takeAll(
    netlink,
    undo,
    moved.map((route) => ({
      request: deletingRoute(route),
      undo: {
        label: 'put a route back into the main table',
        run: () => unless('EEXIST', restoreRoute(netlink, route)),
      },
      unless: 'ESRCH',
    })),
  );
}

async function takeAll(netlink: Conversation, undo: Undo, steps: readonly Step[]): Promise<void> {
  let refusals: readonly (ErrnoError | undefined)[] = []; // as long as the answer is not there, all may be done
  for (const [
    index,
    {
      undo: { label, run },
    },
  ] of steps.entries()) {
    undo.push(label, () => (refusals[index] === undefined ? run() : undefined));
  }
  refusals = await netlink.changeAll(steps.map(({ request }) => request));
  const refusal = refusals.find((one, index) => one !== undefined && !hasErrno(one, steps[index]?.unless ?? ''));
  if (refusal !== undefined) {
    throw refusal;
  }
}

function stepsOf({ source, table, gateway, copies }: SourceTable, netns: Netns, link: LinkRef): readonly Step[] {
  const { netlink } = netns;
  const rule = { source, table, protocol: RULE_PROTOCOL };
  const routes = [
    ...(gateway === undefined ? [] : [defaultRoute(gateway, table, link)]),
    ...copies.map(({ route, key }, index) => {
      const isSecond = copies.slice(0, index).some((other) => other.key === key);
      return copyingRoute(route, table, isSecond ? 'append' : 'replace');
    }),
  ];
  return [
    {
      request: addingRule(rule),
      undo: {
        label: `delete the rule of ${formatIp(source)}`,
        run: () => unless('ENOENT', deleteSourceRule(netlink, rule)),
      },
    },
    ...routes.map((request) => ({
      request,
      undo: { label: `empty table ${table}`, run: () => emptyTable(netns, link, table) },
    })),
  ];
}

function defaultRoute(gateway: Ip, table: number, link: LinkRef): Request {
  const destination = { ip: { family: gateway.family, value: 0n }, prefix: 0 };
  const plan = { destination, gateway, mtu: undefined, advmss: undefined, priority: undefined, table, scope: 0 };
  return addingRoute(link.index, plan, `default via ${formatIp(gateway)} dev ${link.name} table ${table}`);
}

/** What takes back may find nothing to do, where nobody knows what was done. */
async function unless(code: string, change: Promise<void>): Promise<void> {
  try {
    await change;
  } catch (error) {
    if (!hasErrno(error, code)) {
      throw error;
    }
  }
}

async function emptyTable({ netlink }: Netns, link: LinkRef, table: number): Promise<void> {
  for (const route of await tellRoutes(netlink)) {
    if (route.table === table && route.links.includes(link.index)) {
      await deleteRoute(netlink, route);
    }
  }
}
