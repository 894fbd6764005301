import { describe, expect, it } from 'vitest';
import type { NetworkState } from '../../lib/link/saved-state.ts';
import { encodeAddress } from '../../lib/netlink/codec/address.ts';
import { encodeRoute, type RouteAttributes } from '../../lib/netlink/codec/route.ts';
import { inheritedAddresses, inheritedRoutes } from './inherit.ts';

const V4 = Buffer.from([192, 0, 2, 5]);
const GATEWAY = Buffer.from([192, 0, 2, 1]);
const V6 = Buffer.from('20010db8000000000000000000000005', 'hex');
const HOPS = Buffer.from('1000000007000000080005000a000001', 'hex');

const address = (bytes: Buffer, prefix: number, scope = 0): Buffer =>
  Buffer.concat(
    encodeAddress({ family: bytes.length === 4 ? 2 : 10, prefix, scope, index: 7 }, { address: bytes, local: bytes }),
  );

function route(
  attributes: RouteAttributes,
  { family = 2, prefix = 0, table = 254, scope = 0, type = 1, tos = 0 } = {},
): Buffer {
  return Buffer.concat(
    encodeRoute({ family, prefix, table, protocol: 3, scope, type, tos }, { outputIndex: 7, ...attributes }),
  );
}

const kept = (more: Partial<NetworkState>): NetworkState => ({
  index: 7,
  addresses: [],
  routes: [],
  rules: [],
  ...more,
});

describe('what a pod inherits of a device', () => {
  it('is its global addresses', () => {
    const link = 253;
    const scope = 254;
    const addresses = [address(V4, 24), address(V6, 64), address(V4, 16, link), address(V6, 128, scope)];
    expect(inheritedAddresses(kept({ addresses })).ips).toEqual([
      { address: '192.0.2.5/24' },
      { address: '2001:db8::5/64' },
    ]);
  });

  it('is its routes, as far as a result can express them', () => {
    const routes = [
      route({ gateway: GATEWAY }),
      route({}, { family: 10 }),
      route(
        { destination: V4, priority: 9, tableId: 1000, metrics: { mtu: 1300, advmss: 1200 } },
        { prefix: 32, table: 0, scope: 253 },
      ),
    ];
    expect(inheritedRoutes(kept({ routes }))).toEqual([
      { dst: '0.0.0.0/0', gw: '192.0.2.1' },
      { dst: '::/0' },
      { dst: '192.0.2.5/32', mtu: 1300, advmss: 1200, priority: 9, table: 1000, scope: 253 },
    ]);
  });

  it('leaves out of the result what it cannot express: several next hops, types of service, tunnels, non-unicast routes', () => {
    const routes = [
      route({ multipath: HOPS }),
      route({ via: Buffer.from('0a00fe80', 'hex') }),
      route({ encapsulation: Buffer.alloc(4) }),
      route({ gateway: GATEWAY }, { tos: 0x10 }),
      route({}, { type: 6 }),
      route({ gateway: GATEWAY }),
    ];
    expect(inheritedRoutes(kept({ routes }))).toEqual([{ dst: '0.0.0.0/0', gw: '192.0.2.1' }]);
  });

  it('treats an address with a peer apart: a result cannot express whose its prefix is', () => {
    const head = { family: 2, prefix: 32, index: 7 };
    const peer = Buffer.concat(encodeAddress(head, { address: GATEWAY, local: V4 }));
    expect(inheritedAddresses(kept({ addresses: [peer, address(V6, 64)] })).ips).toEqual([
      { address: '2001:db8::5/64' },
    ]);
  });
});
