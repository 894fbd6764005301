import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../lib/cni/json.ts';
import { parseResult } from '../../../lib/cni/result.ts';
import { type Attached, networkStatuses, statusText } from './network-status.ts';

/** The network of a result as a plugin has printed it. */
function attached(document: JsonObject, more: Partial<Attached> = {}): Attached {
  const { version, ...result } = parseResult({ cniVersion: '1.1.0', ...document }, '1.1.0');
  return { name: 'demo/lan', isMaster: false, result, version, ...more };
}

const statusesOf = (document: JsonObject, more: Partial<Attached> = {}) => networkStatuses(attached(document, more));

const SANDBOX = '/run/netns/n1';
const ETH0 = { name: 'eth0', mac: '7e:57:6a:9b:6b:b5', mtu: 1450, sandbox: SANDBOX };

describe('the text of the annotation', () => {
  // all texts here are what the Go library of the specification, 1.7.6, makes of the same results
  it('is that of the Go plugin, to the byte', () => {
    const master = attached(
      {
        interfaces: [ETH0],
        ips: [{ interface: 0, address: '10.244.1.5/24', gateway: '10.244.1.1' }],
        routes: [{ dst: '0.0.0.0/0', gw: '10.244.1.1' }],
      },
      { name: 'cbr0', isMaster: true },
    );
    const lan = attached({ interfaces: [{ name: 'net1', sandbox: SANDBOX }] });
    expect(statusText([...networkStatuses(master), ...networkStatuses(lan)])).toBe(
      `[{
    "name": "cbr0",
    "interface": "eth0",
    "ips": [
        "10.244.1.5"
    ],
    "mac": "7e:57:6a:9b:6b:b5",
    "mtu": 1450,
    "default": true,
    "dns": {},
    "gateway": [
        "10.244.1.1"
    ]
},{
    "name": "demo/lan",
    "interface": "net1",
    "dns": {}
}]`,
    );
    expect(statusText([])).toBe('[]');
  });

  it('escapes as Go does, and has what is known of a device', () => {
    const pci = { 'pci-address': '0000:01:00.1', 'rdma-device': 'mlx5_3', 'pf-pci-address': '0000:01:00.0' };
    const deviceInfo = { type: 'pci', version: '1.1.0', pci };
    const dns = { options: ['ndots:5'], domain: 'a<b>&c', nameservers: ['192.0.2.53'] };
    const one = attached({ interfaces: [{ name: '', sandbox: SANDBOX }], dns }, { name: '', deviceInfo });
    expect(statusText(networkStatuses(one))).toBe(
      `[{
    "name": "",
    "dns": {
        "nameservers": [
            "192.0.2.53"
        ],
        "domain": "a\\u003cb\\u003e\\u0026c",
        "options": [
            "ndots:5"
        ]
    },
    "device-info": {
        "type": "pci",
        "version": "1.1.0",
        "pci": {
            "pci-address": "0000:01:00.1",
            "rdma-device": "mlx5_3",
            "pf-pci-address": "0000:01:00.0"
        }
    }
}]`,
    );
  });

  it('tells of the RDMA device last', () => {
    const one = attached({ interfaces: [ETH0] }, { rdma: { device: 'mlx5_9', port: 1, 'gid-index': 3 } });
    expect(JSON.stringify(networkStatuses(one)[0])).toMatch(
      /"dns":\{\},"rdma":\{"device":"mlx5_9","port":1,"gid-index":3\}\}$/,
    );
  });
});

describe('the statuses of a network', () => {
  it('are none without an interface, as in every result of the first versions', () => {
    expect(statusesOf({ ips: [{ address: '192.0.2.5/24' }] })).toEqual([]);
    expect(statusesOf({ cniVersion: '0.2.0', ip4: { ip: '192.0.2.5/24' } }, { isMaster: true })).toEqual([]);
    expect(
      statusesOf({ interfaces: [{ name: 'br0' }, { name: 'veth1' }], ips: [{ address: '192.0.2.5/24' }] }),
    ).toEqual([]);
  });

  it('is one for one interface, which is named if it is in the pod', () => {
    const ips = [{ address: '192.0.2.5/32' }, { address: '2001:db8::5/128', interface: 0 }];
    expect(statusesOf({ interfaces: [{ name: 'cali12', mac: 'ee:ee:ee:ee:ee:ee' }], ips }, { isMaster: true })).toEqual(
      [{ name: 'demo/lan', ips: ['192.0.2.5', '2001:db8::5'], default: true, dns: {} }],
    );
  });

  it.each([
    ['0.4.0', undefined],
    ['1.0.0', 1450],
    ['1.1.0', 1450],
  ])('has the MTU of a result that can tell it: version %s', (cniVersion, mtu) => {
    expect(statusesOf({ cniVersion, interfaces: [ETH0] })[0]?.['mtu']).toBe(mtu);
  });

  it('is one for each interface in the pod, with its own addresses; those of none go to the last', () => {
    const document = {
      interfaces: [{ name: 'veth1' }, { name: 'net1', sandbox: SANDBOX }, { name: 'net2', sandbox: SANDBOX }],
      ips: [
        { address: '192.0.2.4/24', interface: 0 },
        { address: '192.0.2.5/24', interface: 1 },
        { address: '192.0.2.6/24', interface: 2, gateway: '192.0.2.1' },
        { address: '192.0.2.7/24' },
      ],
    };
    const statuses = statusesOf(document, { isMaster: true });
    expect(statuses).toEqual([
      { name: 'demo/lan', interface: 'net1', ips: ['192.0.2.5'], dns: {} },
      { name: 'demo/lan', interface: 'net2', ips: ['192.0.2.6', '192.0.2.7'], default: true, dns: {} },
    ]);
    expect(statusesOf(document).some((status) => 'default' in status)).toBe(false);
  });

  it('makes the first interface the default where no address has a gateway and an interface', () => {
    const interfaces = [{ name: 'h' }, { name: 'net1', sandbox: SANDBOX }, { name: 'net2', sandbox: SANDBOX }];
    const ips = [{ address: '192.0.2.7/24', gateway: '192.0.2.1' }];
    const isDefault = (gatewayOn?: number) =>
      statusesOf(
        { interfaces, ips: ips.map((ip) => ({ ...ip, ...(gatewayOn === undefined ? {} : { interface: gatewayOn }) })) },
        { isMaster: true },
      ).map((status) => status['default']);
    expect(isDefault()).toEqual([true, undefined]);
    expect(isDefault(2)).toEqual([undefined, true]);
    expect(isDefault(0)).toEqual([undefined, undefined]); // nor is it in the pod
  });

  it('has the gateways of default routes, and none for a route without one', {
    tags: ['multus/status-gateway'],
  }, () => {
    const routes = [
      { dst: '0.0.0.0/0' },
      { dst: '::/0', gw: 'fd00::1' },
      { dst: '198.51.100.0/24', gw: '192.0.2.1' },
      { dst: '0.0.0.0/1', gw: '192.0.2.2' },
    ];
    expect(statusesOf({ interfaces: [ETH0], routes })[0]?.['gateway']).toEqual(['fd00::1', '192.0.2.2']);
    expect(statusesOf({ interfaces: [ETH0], routes: routes.slice(0, 1) })[0]).not.toHaveProperty('gateway');
  });
});
