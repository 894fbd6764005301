import type { ToldFacts, ToldRoute } from '../../lib/link/route-tables.ts';
import { RT_TABLE_MAIN } from '../../lib/link/routes.ts';
import type { RuleFacts } from '../../lib/link/rules.ts';
import { contains } from '../../lib/net/cidr.ts';
import type { Ip } from '../../lib/net/ip.ts';
import type { OwnAddress } from './own.ts';

const FIRST_TABLE = 100;
/** default, main, local: no attachment's own, whatever the rules say */
const SYSTEM_TABLES = [253, 254, 255];

/** What a namespace has. */
export interface Told {
  readonly rules: readonly RuleFacts[];
  readonly routes: readonly ToldRoute[];
}

export interface Facts extends Told {
  /** where a route leads: of few it is asked */
  readonly factsOf: (route: ToldRoute) => ToldFacts;
}

/** A route and where it leads. */
export interface KnownRoute extends ToldFacts {
  readonly route: ToldRoute;
}

/** How packets from one address are routed. */
export interface SourceTable {
  readonly source: Ip;
  readonly table: number;
  /** of a default route, since an earlier plugin may have made none */
  readonly gateway: Ip | undefined;
  /** routes of the main table that are needed there too; several may have one key */
  readonly copies: readonly KnownRoute[];
}

export interface Plan {
  readonly tables: readonly SourceTable[];
  /** routes that leave the main table, and come back last first: gateways are reached by those that come last */
  readonly moved: readonly ToldRoute[];
}

/**
 * A table for each address, with the routes of the interface that belong to it: those that name the address's subnet by
 * gateway or source, those that name none, and those that belong to no address at all, which would be lost. Families that
 * the interface has no address of stay as they are.
 */
export function planTables(own: readonly OwnAddress[], linkIndex: number, { rules, routes, factsOf }: Facts): Plan {
  const families = new Set(own.map(({ address }) => address.ip.family));
  const ofLink = routes
    .filter(
      ({ table, links, family }) =>
        table === RT_TABLE_MAIN &&
        families.has(family) &&
        links.length > 0 &&
        links.every((index) => index === linkIndex),
    )
    .map((route): KnownRoute => ({ route, ...factsOf(route) }));
  const used = new Set([...rules, ...routes, ...SYSTEM_TABLES.map((table) => ({ table }))].map(({ table }) => table));
  const tables = own.map(({ address, gateway }): SourceTable => {
    const table = firstFree(used);
    used.add(table);
    const copies = ofLink.filter(
      (known) =>
        known.route.family === address.ip.family &&
        (belongsTo(known, { address, gateway }) || !own.some((other) => belongsTo(known, other))),
    );
    return { source: address.ip, table, gateway, copies };
  });
  // A program of the pod may talk to link-local addresses of the interface: only the main table is asked about these.
  const moved = ofLink.filter(({ destination }) => !isLinkLocal(destination.ip));
  const isNear = ({ gateway, route }: KnownRoute): boolean => gateway === undefined && route.links.length === 1;
  const inOrder = [...moved.filter((known) => !isNear(known)), ...moved.filter(isNear)];
  return { tables, moved: inOrder.map(({ route }) => route) };
}

/** With a table of the configuration there are only rules: its routes are there. */
export const planRules = (own: readonly OwnAddress[], table: number): Plan => ({
  tables: own.map(({ address }) => ({ source: address.ip, table, gateway: undefined, copies: [] })),
  moved: [],
});

function firstFree(used: ReadonlySet<number>): number {
  let table = FIRST_TABLE;
  while (used.has(table)) {
    table++;
  }
  return table;
}

function belongsTo({ route, source, gateway }: KnownRoute, { address }: OwnAddress): boolean {
  if (route.family !== address.ip.family) {
    return false;
  }
  const named = [source, gateway].filter((ip) => ip !== undefined);
  return named.length === 0 || named.some((ip) => contains(address, ip));
}

/** fe80::/10 */
const isLinkLocal = ({ family, value }: Ip): boolean => family === 6 && value >> 118n === 0x3fan;

/**
 * What CHECK misses: a rule for each address, and in its table, where it was chosen, a default route through the
 * address's gateway.
 *
 * @param table of the configuration
 */
export function missing(
  own: readonly OwnAddress[],
  table: number | undefined,
  { rules, routes }: Told,
): { readonly address: OwnAddress; readonly what: 'rule' | 'route' } | undefined {
  for (const address of own) {
    const { ip } = address.address;
    const tables = rules
      .filter((rule) => isFrom(rule, ip) && (table === undefined ? !isSystem(rule.table) : rule.table === table))
      .map((rule) => rule.table);
    if (tables.length === 0) {
      return { address, what: 'rule' };
    }
    const hasDefault = (wanted: number): boolean =>
      routes.some(({ table: has, family, prefix }) => has === wanted && family === ip.family && prefix === 0);
    if (table === undefined && address.gateway !== undefined && !tables.some(hasDefault)) {
      return { address, what: 'route' };
    }
  }
  return undefined;
}

/** What is known of an attachment that goes. */
export interface Going {
  /** its addresses: those of prevResult, and those that its link has */
  readonly addresses: readonly Ip[];
  /** of its link; undefined when it is gone */
  readonly linkIndex: number | undefined;
  /** of the configuration */
  readonly table: number | undefined;
}

/**
 * The rules of an attachment that goes: those from its addresses. One that leads to a table whose routes go through other
 * links is that of another interface with the same address.
 */
export function rulesOf({ addresses, linkIndex, table }: Going, { rules, routes }: Told): readonly RuleFacts[] {
  const isOthers = (wanted: number): boolean =>
    routes.some((route) => route.table === wanted && route.links.length > 0 && !route.links.includes(linkIndex ?? -1));
  return rules.filter(
    (rule) =>
      addresses.some((ip) => isFrom(rule, ip)) &&
      (table === undefined ? !isSystem(rule.table) && !isOthers(rule.table) : rule.table === table),
  );
}

/**
 * Rules that a link has left behind: this plugin made them, no link has the address, and nothing is in the table.
 *
 * @param addresses of all links
 */
export const orphans = ({ rules, routes }: Told, addresses: readonly Ip[], protocol: number): readonly RuleFacts[] =>
  rules.filter(
    (rule) =>
      rule.protocol === protocol &&
      rule.source !== undefined &&
      !addresses.some((ip) => isFrom(rule, ip)) &&
      !routes.some(({ table }) => table === rule.table),
  );

const isFrom = ({ source }: RuleFacts, ip: Ip): boolean =>
  source !== undefined && source.family === ip.family && source.value === ip.value;

const isSystem = (table: number): boolean => SYSTEM_TABLES.includes(table);
