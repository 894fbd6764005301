import { describe, expect, it } from 'vitest';
import type { Result } from '../cni/result.ts';
import { planAddresses } from './addressing.ts';

const NOTHING = { interfaces: [{ name: 'net1' }], ips: [], routes: [], dns: {} };
const result = (parts: Partial<Result>): Result => ({ ...NOTHING, ...parts });

describe('planAddresses', () => {
  it.each<[string, Partial<Result>]>([
    ['a route', { routes: [{ dst: '192.0.2.0/24', gw: 'nowhere' }] }],
    ['an address', { ips: [{ address: '192.0.2.5/24', gateway: 'nowhere', interface: 0 }] }],
  ])('refuses the gateway of %s that is no address: a route without one leads elsewhere', (_, parts) => {
    expect(() => planAddresses(result(parts), 'net1')).toThrow(
      expect.objectContaining({ code: 7, message: 'cannot use gateway "nowhere": it is not an address' }),
    );
  });

  it('gives a route without gateway the first one of its family', () => {
    const ips = [
      { address: '2001:db8::5/64', gateway: '2001:db8::1', interface: 0 },
      { address: '192.0.2.5/24', gateway: '192.0.2.1', interface: 0 },
    ];
    const { routes } = planAddresses(result({ ips, routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }] }), 'net1');
    expect(routes.map(({ gateway }) => gateway?.family)).toEqual([4, 6]);
  });
});
