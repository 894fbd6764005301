import { describe, expect, it } from 'vitest';
import type { ToldFacts, ToldRoute } from '../../lib/link/route-tables.ts';
import type { RuleFacts } from '../../lib/link/rules.ts';
import { type Cidr, parseCidr } from '../../lib/net/cidr.ts';
import { formatIp, type Ip, parseIp } from '../../lib/net/ip.ts';
import { type OwnAddress, ownAddresses } from './own.ts';
import { missing, orphans, planRules, planTables, rulesOf } from './plan.ts';

const LINK = 7;
const cidr = (text: string): Cidr => parseCidr(text) ?? expect.unreachable(text);
const ip = (text: string): Ip => parseIp(text) ?? expect.unreachable(text);

const own = (address: string, gateway?: string): OwnAddress => ({
  address: cidr(address),
  gateway: gateway === undefined ? undefined : ip(gateway),
});

/** `10.8.0.0/16 via 10.1.2.1 src … table 200 dev 8`, as ip(8) has it: through the link and in the main table unless told. */
function route(text: string): ToldRoute {
  const words = text.split(' ');
  const said = (word: string) => words[words.indexOf(word) + 1] ?? '';
  const { ip: network, prefix } = cidr(words[0] ?? '');
  return {
    family: network.family,
    table: words.includes('table') ? Number(said('table')) : 254,
    links: words.includes('dev') ? said('dev').split(',').map(Number) : [LINK],
    prefix,
    body: Buffer.from(text),
  };
}

function factsOf({ body }: ToldRoute): ToldFacts {
  const [key = '', ...words] = body.toString().split(' ');
  const said = (word: string) => (words.includes(word) ? ip(words[words.indexOf(word) + 1] ?? '') : undefined);
  return { destination: cidr(key), gateway: said('via'), source: said('src'), key };
}

const rule = (source: string | undefined, table: number, protocol = 98): RuleFacts => ({
  source: source === undefined ? undefined : ip(source),
  table,
  protocol,
  body: Buffer.from(`${source} ${table}`),
});
const SYSTEM = [rule(undefined, 255, 2), rule(undefined, 254, 2), rule(undefined, 253, 2)];

function plan(addresses: readonly OwnAddress[], routes: readonly string[], rules: readonly RuleFacts[] = []) {
  const { tables, moved } = planTables(addresses, LINK, {
    rules: [...SYSTEM, ...rules],
    routes: routes.map(route),
    factsOf,
  });
  return {
    tables: tables.map(({ source, table, gateway, copies }) => [
      `${formatIp(source)} ${table}${gateway === undefined ? '' : ` ${formatIp(gateway)}`}`,
      ...copies.map((known) => known.route.body.toString()),
    ]),
    moved: moved.map(({ body }) => body.toString()),
  };
}

describe('the tables of an interface', () => {
  it('have the default route and the routes of the address, which leave the main table', () => {
    const routes = ['0.0.0.0/0 via 10.1.2.1', '10.1.2.0/24 src 10.1.2.3', '10.8.0.0/16'];
    expect(plan([own('10.1.2.3/24', '10.1.2.1')], routes)).toEqual({
      tables: [['10.1.2.3 100 10.1.2.1', ...routes]],
      moved: routes,
    });
  });

  it('are for each address one, with what belongs to it', () => {
    const first = ['10.1.2.0/24 src 10.1.2.3', '10.8.0.0/16 via 10.1.2.1'];
    const second = ['10.1.3.0/24 src 10.1.3.3'];
    const both = ['10.9.0.0/16'];
    expect(plan([own('10.1.2.3/24'), own('10.1.3.3/24')], [...first, ...second, ...both])).toEqual({
      tables: [
        ['10.1.2.3 100', ...first, ...both],
        ['10.1.3.3 101', ...second, ...both],
      ],
      moved: [...first.toReversed(), ...second, ...both], // what has a gateway first
    });
  });

  it('have routes of their family only', () => {
    const routes = ['10.8.0.0/16', 'fd00:1::/64'];
    expect(plan([own('10.1.2.3/24'), own('fd00:1::3/64')], routes).tables).toEqual([
      ['10.1.2.3 100', '10.8.0.0/16'],
      ['fd00:1::3 101', 'fd00:1::/64'],
    ]);
    expect(plan([own('10.1.2.3/24')], routes).moved).toEqual(['10.8.0.0/16']); // the router gave an IPv6 address, and we no table
  });

  it('all have what belongs to none: it would be lost', () => {
    const routes = ['::/0 via fe80::1', '10.8.0.0/16 via 10.99.0.1'];
    expect(plan([own('10.1.2.3/32'), own('10.1.3.3/32'), own('fd00:1::3/64')], routes)).toEqual({
      tables: [
        ['10.1.2.3 100', '10.8.0.0/16 via 10.99.0.1'],
        ['10.1.3.3 101', '10.8.0.0/16 via 10.99.0.1'],
        ['fd00:1::3 102', '::/0 via fe80::1'],
      ],
      moved: routes,
    });
  });

  it('have routes to link-local addresses besides the main one', () => {
    expect(plan([own('fd00:1::3/64')], ['fe80::/64', 'fd00:1::/64'])).toEqual({
      tables: [['fd00:1::3 100', 'fe80::/64', 'fd00:1::/64']],
      moved: ['fd00:1::/64'],
    });
  });

  it('have nothing of other links, other tables, and routes that others share', () => {
    const routes = ['10.8.0.0/16 dev 8', '10.9.0.0/16 table 300', '10.10.0.0/16 dev 7,8', '10.11.0.0/16 dev 7,7'];
    const { moved, tables } = plan([own('10.1.2.3/24')], routes);
    expect([moved, tables]).toEqual([['10.11.0.0/16 dev 7,7'], [['10.1.2.3 100', '10.11.0.0/16 dev 7,7']]]);
  });

  it.each([
    ['rules', [], [rule('10.7.0.1', 100), rule('fd00::9', 101, 0)], 102],
    ['routes without a rule', ['10.8.0.0/16 table 100', 'fd00::/64 table 101 dev 8'], [], 102],
    ['neither', ['10.8.0.0/16 table 101'], [rule('10.7.0.1', 102)], 100],
    ['the system', [], Array.from({ length: 153 }, (_, index) => rule('10.7.0.1', 100 + index)), 256],
  ])('are those that nobody uses: %s', (_, routes, rules, table) => {
    expect(plan([own('10.1.2.3/24')], routes, rules).tables[0]?.[0]).toBe(`10.1.2.3 ${table}`);
  });

  it('are one, with nothing in it, when the configuration names it', () => {
    expect(planRules([own('10.1.2.3/24', '10.1.2.1'), own('fd00::3/64')], 200)).toEqual({
      tables: [
        { source: ip('10.1.2.3'), table: 200, gateway: undefined, copies: [] },
        { source: ip('fd00::3'), table: 200, gateway: undefined, copies: [] },
      ],
      moved: [],
    });
  });
});

describe('the addresses of an interface', () => {
  it('are those that name it, and those that name none', () => {
    const ips = [undefined, 0, 1, 9].map((index, at) => ({
      address: `10.1.2.${at}/24`,
      ...(index === undefined ? {} : { interface: index }),
    }));
    const interfaces = [{ name: 'veth7' }, { name: 'net1', sandbox: '/pod' }];
    const found = ownAddresses({ interfaces, ips, routes: [], dns: {} }, 'net1');
    expect(found.map(({ address }) => formatIp(address.ip))).toEqual(['10.1.2.0', '10.1.2.2', '10.1.2.3']);
  });
});

describe('CHECK misses', () => {
  const addresses = [own('10.1.2.3/24', '10.1.2.1'), own('10.1.3.3/24')];
  const routes = ['0.0.0.0/0 via 10.1.2.1 table 100'];
  it.each([
    ['nothing', undefined, [rule('10.1.2.3', 100, 0), rule('10.1.3.3', 101)], routes, undefined],
    ['the rule of an address', undefined, [rule('10.1.2.3', 100)], routes, 'rule 10.1.3.3'],
    ['one to a table of its own', undefined, [rule('10.1.2.3', 100), rule('10.1.3.3', 254)], routes, 'rule 10.1.3.3'],
    ['the default route', undefined, [rule('10.1.2.3', 102), rule('10.1.3.3', 101)], routes, 'route 10.1.2.3'],
    ['nothing but rules with a table', 200, [rule('10.1.2.3', 200), rule('10.1.3.3', 200)], [], undefined],
    ['a rule to this table', 200, [rule('10.1.2.3', 200), rule('10.1.3.3', 201)], [], 'rule 10.1.3.3'],
  ])('%s', (_, table, rules, told, fault) => {
    const found = missing(addresses, table, { rules, routes: told.map(route) });
    expect(found && `${found.what} ${formatIp(found.address.address.ip)}`).toBe(fault);
  });
});

describe('DEL deletes', () => {
  const texts = (rules: readonly RuleFacts[]) => rules.map(({ body }) => body.toString());
  const rules = [
    ...SYSTEM,
    rule('10.1.2.3', 100),
    rule('10.1.2.3', 101, 0),
    rule('10.1.2.4', 102),
    rule('10.1.2.3', 254, 0),
  ];
  const deleted = (linkIndex: number | undefined, routes: readonly string[], table?: number) =>
    texts(rulesOf({ addresses: [ip('10.1.2.3')], linkIndex, table }, { rules, routes: routes.map(route) }));

  it("the rules of its addresses, whoever made them, but those to another link's table or the system's", () => {
    expect(deleted(LINK, ['10.8.0.0/16 table 100'])).toEqual(['10.1.2.3 100', '10.1.2.3 101']);
    expect(deleted(LINK, ['10.8.0.0/16 table 100', '10.8.0.0/16 table 101 dev 8'])).toEqual(['10.1.2.3 100']);
  });

  it('those to empty tables when the link is gone', () => {
    expect(deleted(undefined, ['10.8.0.0/16 table 100 dev 8'])).toEqual(['10.1.2.3 101']);
  });

  it('those to the table of the configuration, and no others', () => {
    expect(deleted(LINK, ['10.8.0.0/16 table 101 dev 8'], 101)).toEqual(['10.1.2.3 101']);
  });

  it('of orphans only what this plugin made, whose address is nowhere, and whose table is empty', () => {
    const all = [
      rule('10.1.2.1', 100),
      rule('10.1.2.2', 101),
      rule('10.1.2.3', 102),
      rule('10.1.2.4', 103, 0),
      ...SYSTEM,
    ];
    const found = orphans({ rules: all, routes: [route('10.8.0.0/16 table 101')] }, [ip('10.1.2.3')], 98);
    expect(texts(found)).toEqual(['10.1.2.1 100']);
  });
});
