import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../lib/cni/json.ts';
import { formatIp } from '../../lib/net/ip.ts';
import { type DefaultRoutes, planDefaultRoutes } from './default-route.ts';
import { withDefaultRoutes } from './default-route-record.ts';

/** `46` of a network that loses both families, with its gateways. */
const words = (plan: readonly DefaultRoutes[] | undefined): readonly string[] | undefined =>
  plan?.map(({ isFiltered4, isFiltered6, gateways }) =>
    [`${isFiltered4 ? '4' : ''}${isFiltered6 ? '6' : ''}`, ...gateways.map(formatIp)].join(' '),
  );

describe('the plan of default routes', () => {
  it('is none where no network wants one', () => {
    expect(planDefaultRoutes([undefined, undefined])).toBeUndefined();
    expect(planDefaultRoutes([])).toBeUndefined();
  });

  it('takes them from all networks but the one that wants them, and from that one in the other family', () => {
    expect(words(planDefaultRoutes([undefined, ['192.0.2.1'], undefined]))).toEqual(['46', '6 192.0.2.1', '46']);
    expect(words(planDefaultRoutes([undefined, ['2001:db8::1', '192.0.2.1']]))).toEqual([
      '46',
      ' 2001:db8::1 192.0.2.1',
    ]);
    expect(words(planDefaultRoutes([undefined, ['192.0.2.1'], ['fd00::1']]))).toEqual([
      '46',
      '6 192.0.2.1',
      '4 fd00::1',
    ]);
  });

  it('takes them from all for an empty list', () => {
    expect(words(planDefaultRoutes([undefined, [], undefined]))).toEqual(['46', '46', '46']);
  });

  it.each([
    [[['192.0.2.1', '192.0.2.2']]],
    [[['192.0.2.1'], ['192.0.2.1']]],
    [[['fd00::1'], ['192.0.2.1', 'fd00::2']]],
  ])('has one gateway of a family at most: %j', (wanted) => {
    expect(() => planDefaultRoutes(wanted)).toThrow(/^multus does not support ECMP for default-route$/);
  });

  it.each(['', '192.0.2', '192.0.2.1/24'])('has no gateway %j', (text) => {
    expect(() => planDefaultRoutes([[text]])).toThrow(`cannot use "default-route" "${text}": it is not an IP address`);
  });
});

describe('a recorded result', () => {
  const routes = (...wanted: string[]): DefaultRoutes => planDefaultRoutes([wanted])?.[0] as DefaultRoutes;
  const edited = (result: JsonObject, ...wanted: string[]): JsonObject => withDefaultRoutes(result, routes(...wanted));
  const other = { dst: '198.51.100.0/24', gw: '192.0.2.9' };
  const defaults = [
    { dst: '0.0.0.0/0', gw: '192.0.2.254' },
    { dst: '::/0', gw: 'fd00::ff' },
    { dst: '::0/0' },
    { dst: '0.0.0.0/0', priority: 100 },
  ];

  it.each(['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'])(
    'of version %s loses and gets default routes',
    (cniVersion) => {
      const result = { cniVersion, routes: [defaults[0], other, ...defaults.slice(1)] as JsonObject[] };
      expect(edited(result)).toEqual({ cniVersion, routes: [other] });
      expect(edited(result, '192.0.2.1')).toEqual({
        cniVersion,
        routes: [other, { dst: '0.0.0.0/0', gw: '192.0.2.1' }],
      });
      expect(edited({ cniVersion }, 'fd00::1', '192.0.2.1')).toEqual({
        cniVersion,
        routes: [
          { dst: '::0/0', gw: 'fd00::1' },
          { dst: '0.0.0.0/0', gw: '192.0.2.1' },
        ],
      });
      expect(edited({ cniVersion })).toEqual({ cniVersion });
    },
  );

  it.each([undefined, '0.1.0', '0.2.0'])('of version %s has them by family', (cniVersion) => {
    const version = cniVersion === undefined ? {} : { cniVersion };
    const ip4 = { ip: '192.0.2.5/24', routes: [{ dst: '0.0.0.0/0', gw: '192.0.2.254' }, other] };
    const ip6 = { ip: 'fd00::5/64' };
    expect(edited({ ...version, ip4, ip6 }, 'fd00::1')).toEqual({
      ...version,
      ip4: { ip: '192.0.2.5/24', routes: [other] },
      ip6: { ip: 'fd00::5/64', routes: [{ dst: '::/0', gw: 'fd00::1' }] },
    });
    expect(edited({ ...version, ip4 }, 'fd00::1', '192.0.2.1')).toEqual({
      ...version,
      ip4: { ip: '192.0.2.5/24', routes: [other, { dst: '0.0.0.0/0', gw: '192.0.2.1' }] },
    });
  });

  it('keeps default routes of other tables', () => {
    const sourced = { dst: '0.0.0.0/0', gw: '192.0.2.254', table: 100 };
    expect(edited({ cniVersion: '1.1.0', routes: [sourced, { ...sourced, table: 254 }] })).toEqual({
      cniVersion: '1.1.0',
      routes: [sourced],
    });
  });

  it.each([
    [{ routes: 'none' }, { routes: [{ dst: '0.0.0.0/0', gw: '192.0.2.1' }] }],
    [{ routes: [7, null, {}] }, { routes: [7, null, {}, { dst: '0.0.0.0/0', gw: '192.0.2.1' }] }],
  ])('with routes of a wrong shape has the new one: %j', (result, expected) => {
    const cniVersion = '1.0.0';
    expect(edited({ cniVersion, ...result }, '192.0.2.1')).toEqual({ cniVersion, ...expected });
  });

  it.each(['none', null, []])('of an old version without addresses that are any has no route: %j', (ip4) => {
    expect(edited({ ip4 }, '192.0.2.1')).toEqual({ ip4 });
  });

  it('of a version that is not known is not touched', () => {
    expect(() => edited({ cniVersion: '0.5.0' })).toThrow('unsupported cniVersion "0.5.0"');
  });
});
