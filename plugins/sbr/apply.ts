import type { Undo } from '../../lib/cni/undo.ts';
import type { LinkRef } from '../../lib/link/addressing.ts';
import { copyRoute, deleteRoute, restoreRoute, tellRoutes } from '../../lib/link/route-tables.ts';
import { addRoute } from '../../lib/link/routes.ts';
import { addRule, deleteSourceRule } from '../../lib/link/rules.ts';
import { formatIp } from '../../lib/net/ip.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import type { Plan, SourceTable } from './plan.ts';

/** `protocol` of the rules that this plugin makes: no routing daemon has it. */
export const RULE_PROTOCOL = 98;

/**
 * Makes rules and tables, and then takes the routes out of the main table: until then they say whether a gateway can be
 * reached.
 *
 * @throws ErrnoError; what was done is undone
 */
export async function applyPlan({ tables, moved }: Plan, netns: Netns, link: LinkRef, undo: Undo): Promise<void> {
  const { netlink } = netns;
  for (const table of tables) {
    const rule = { source: table.source, table: table.table, protocol: RULE_PROTOCOL };
    await addRule(netlink, rule);
    undo.push(`delete the rule of ${formatIp(table.source)}`, () => deleteSourceRule(netlink, rule));
    if (table.gateway !== undefined || table.copies.length > 0) {
      // before the first route, whose answer may be lost
      undo.push(`empty table ${table.table}`, () => emptyTable(netns, link, table.table));
    }
    await fillTable(table, netns, link);
  }
  for (const route of moved) {
    await deleteRoute(netlink, route);
    undo.push('put a route back into the main table', () => restoreRoute(netlink, route));
  }
}

async function fillTable({ table, gateway, copies }: SourceTable, { netlink }: Netns, link: LinkRef): Promise<void> {
  if (gateway !== undefined) {
    const destination = { ip: { family: gateway.family, value: 0n }, prefix: 0 };
    const plan = { destination, gateway, mtu: undefined, advmss: undefined, priority: undefined, table, scope: 0 };
    await addRoute(netlink, link.index, plan, `default via ${formatIp(gateway)} dev ${link.name} table ${table}`);
  }
  const seen = new Set<string>();
  for (const route of copies) {
    await copyRoute(netlink, route, table, seen.has(route.key) ? 'append' : 'replace');
    seen.add(route.key);
  }
}

async function emptyTable({ netlink }: Netns, link: LinkRef, table: number): Promise<void> {
  for (const route of await tellRoutes(netlink)) {
    if (route.table === table && route.links.includes(link.index)) {
      await deleteRoute(netlink, route);
    }
  }
}
