/** What host-device's device was on the node it is again; and what of it a pod can be given. */
import { describe, expect, it } from 'vitest';
import { settled } from '../../lab/eventually.ts';
import { type Lab, PARENT_MAC } from '../../lab/lab.ts';
import { batch, pictureOf } from '../../lab/picture.ts';
import { addressTexts, linkOf, routesOf } from '../../lab/state.ts';
import { Attachment, DEVICE } from './lab.ts';

/** Everything that a device can have, as far as this kernel has it. */
async function furnish(lab: Lab): Promise<void> {
  const settings = {
    'ipv4/conf/par/rp_filter': '2',
    'ipv4/conf/par/forwarding': '1',
    'ipv4/conf/par/arp_ignore': '1',
    'ipv4/conf/par/arp_notify': '1',
    'ipv4/conf/par/proxy_arp': '1',
    'ipv4/conf/par/promote_secondaries': '1',
    'ipv6/conf/par/accept_ra': '0',
    'ipv6/conf/par/forwarding': '1',
    'ipv6/conf/par/hop_limit': '33',
    'ipv6/conf/par/keep_addr_on_down': '1',
    'ipv6/conf/par/router_solicitation_interval': '7',
    'ipv6/conf/par/dad_transmits': '3',
    'ipv6/conf/par/mtu': '1350',
  };
  const commands = [
    'link add oth type veth peer name oth-peer',
    'link set oth up',
    'link set oth-peer up',
    'addr add 10.69.0.2/24 dev oth',
    'addr add fd69::2/64 dev oth',
    'link set par mtu 1400 txqueuelen 500 promisc on allmulticast on alias uplink',
    'link property add dev par altname first-name altname second-name',
    'addr add 10.60.0.2/24 brd + dev par',
    'addr add 10.60.0.3/24 dev par',
    'addr add 10.61.0.1/32 dev par label par:vip',
    'addr add 10.62.0.1 peer 10.62.0.2/32 dev par',
    'addr add 10.63.0.1/24 dev par scope link noprefixroute metric 77',
    'addr add fd60::2/64 dev par',
    'addr add fd61::2/128 dev par nodad',
    'addr add fd62::2/64 peer fd62::3/64 dev par noprefixroute',
  ];
  const routes = [
    'route add default via 10.60.0.1 dev par',
    'route append default via 10.60.0.9 dev par',
    'route append default via 10.60.0.8 dev par',
    'route add default via 10.60.0.9 dev par metric 50',
    'route add default via 10.60.0.1 dev par table 100',
    'route add 10.71.0.0/16 via 10.60.0.1 src 10.60.0.3 mtu 1300 advmss 1200 table 100',
    'route add 10.72.0.0/16 nexthop via 10.60.0.1 weight 2 nexthop via 10.69.0.1 weight 3',
    'route add 10.73.0.0/16 via 192.0.2.1 dev par onlink proto static',
    'route add 192.0.2.77/32 dev par scope link',
    'route add 10.74.0.0/16 via inet6 fd60::1 dev par table 1000',
    'route add 10.75.0.0/16 via 192.0.2.77 table 1000',
    'route add 10.76.0.0/16 dev par tos 0x10',
    'route add multicast 239.1.0.0/16 dev par table 100',
    'route add fd70::/16 via fd60::1 dev par metric 9',
    'route add default via fd60::1 dev par table 100 pref high',
    'route add fd72::/16 nexthop via fd60::1 nexthop via fd69::1',
    'route add fd73::/16 via fe80::1 dev par',
    'route add local fd74::/64 dev par table 200',
    'rule add from 10.60.0.2 lookup 100 pref 1000',
    'rule add from 10.63.0.1 fwmark 7 lookup 200',
    'rule add iif par lookup 100 pref 1001',
    'rule add from 10.69.0.2 lookup 300',
  ];
  for (const [name, value] of Object.entries(settings)) {
    await lab.sysctl(lab.node, `net/${name}`, value);
  }
  await batch(lab.node, commands);
  await lab.sysctl(lab.node, 'net/ipv6/conf/par/mtu', '1350');
  await lab.ip(lab.node, 'link set par up');
  await settled(lab.node, ['par', 'oth', 'oth-peer']);
  await batch(lab.node, routes);
  await lab.ip(lab.node, '-6 rule add to fd60::2 lookup 100');
}

describe.concurrent('a device that comes home', () => {
  it('is all that it was: addresses, routes, rules, names, modes, settings', async () => {
    await using one = await Attachment.open();
    await furnish(one.lab);
    const before = await pictureOf(one.lab);
    await one.add();
    const device = linkOf(await one.podState(), 'net1');
    expect(device).toMatchObject({ ifalias: DEVICE, mtu: 1400, address: PARENT_MAC });
    await batch(one.pod.name, [
      'link set net1 down',
      'link set net1 mtu 1280 txqueuelen 3 promisc off allmulticast off address 02:00:00:00:00:99',
      'link property add dev net1 altname of-the-pod',
      'addr add 10.60.0.2/24 dev net1',
      'link set net1 up',
    ]);
    await one.lab.sysctl(one.pod.name, 'net/ipv4/conf/net1/rp_filter', '1');
    const { exitCode, stderr } = await one.call('DEL');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    await one.expectHome(before);
  });

  it('is so again after another round', async () => {
    await using one = await Attachment.open();
    await furnish(one.lab);
    const before = await pictureOf(one.lab);
    for (const _ of ['first', 'second']) {
      await one.add();
      await one.succeed('DEL');
      await one.expectHome(before);
    }
  });

  it.each([
    { what: 'down', commands: ['link set par down', 'addr add 10.60.0.2/24 dev par'] },
    {
      what: 'a port of a bridge',
      commands: [
        'link add br0 type bridge',
        'link set br0 up',
        'link set par master br0',
        'addr add 10.60.0.2/24 dev br0',
      ],
    },
    { what: 'without IPv6', commands: [], settings: { 'net/ipv6/conf/par/disable_ipv6': '1' } },
  ])('is $what again', async ({ commands, settings = {} }) => {
    await using one = await Attachment.open();
    await batch(one.lab.node, commands);
    for (const [name, value] of Object.entries(settings)) {
      await one.lab.sysctl(one.lab.node, name, value);
    }
    const before = await pictureOf(one.lab);
    await one.add();
    await one.succeed('DEL');
    await one.expectHome(before);
  });

  it('says what cannot be made so again, and stops at nothing', async () => {
    await using one = await Attachment.open();
    await batch(one.lab.node, ['addr add 10.60.0.2/24 dev par', 'route add 10.71.0.0/16 via 10.60.0.1']);
    const before = await pictureOf(one.lab);
    await batch(one.lab.node, [
      'link add oth type bridge',
      'link set oth up',
      'route add 10.70.0.0/16 nexthop via 10.60.0.1 dev par nexthop dev oth',
    ]);
    await one.add();
    await one.onNode('link del oth');
    const { exitCode, stderr } = await one.call('DEL');
    expect({ exitCode, stderr }).toEqual({
      exitCode: 0,
      stderr: expect.stringContaining('cannot restore route 10.70.0.0/16 with several next hops: '),
    });
    await one.expectHome(before);
  });

  it('comes down and without addresses when it shall not be restored, but under its name', async () => {
    await using one = await Attachment.open();
    await furnish(one.lab);
    one.configure({ restore: false });
    const before = await pictureOf(one.lab);
    await one.add();
    await one.inPod('link set net1 mtu 1280');
    await one.succeed('DEL');
    const after = await pictureOf(one.lab);
    const device = linkOf(after, DEVICE);
    expect(device).toMatchObject({ mtu: 1280, ifalias: 'uplink', flags: expect.not.arrayContaining(['UP']) });
    expect([addressTexts(after, DEVICE), routesOf(after, DEVICE)]).toEqual([[], []]);
    expect(linkOf(before, 'oth')).toEqual(linkOf(after, 'oth'));
    expect(one.recorded()).toEqual([]);
  });

  it('is restored after an ADD that fails, whatever "restore" says', async () => {
    await using one = await Attachment.open();
    await furnish(one.lab);
    one.configure({
      restore: false,
      ipam: { type: 'static', addresses: [{ address: '10.1.2.3/24' }, { address: '10.1.2.3/24' }] },
    });
    const before = await pictureOf(one.lab);
    await one.fail('ADD');
    await one.expectHome(before);
  });
});

describe.concurrent('useInterfaceNetwork', () => {
  const commands = [
    'addr add 10.60.0.2/24 dev par',
    'addr add fd60::2/64 dev par',
    'route add 10.71.0.0/16 via 10.60.0.1 dev par metric 9',
    'route add default via 10.60.0.1 dev par table 100',
    'route add 10.72.0.0/16 nexthop via 10.60.0.1 dev par nexthop via 10.60.0.7 dev par',
    'route add fd70::/16 via fd60::1 dev par',
    'rule add from 10.60.0.2 lookup 100 pref 1000',
  ];
  const inPod = {
    addresses: ['10.60.0.2/24', 'fd60::2/64'],
    routes: [
      { dst: 'default', gateway: '10.60.0.1', table: '100' },
      { dst: '10.71.0.0/16', gateway: '10.60.0.1', metric: 9 },
    ],
  };

  it.each([
    { what: 'alone', ipam: undefined, more: [] as string[] },
    {
      what: 'beside those of an IPAM plugin',
      ipam: {
        type: 'static',
        addresses: [{ address: '10.1.2.3/24' }],
        routes: [{ dst: '10.8.0.0/16', gw: '10.1.2.1' }],
      },
      more: ['10.1.2.3/24'],
    },
  ])(
    "gives the pod the device's own addresses, routes and rules, $what, and takes them back",
    async ({ ipam, more }) => {
      await using one = await Attachment.open();
      await batch(one.lab.node, commands);
      one.configure({ useInterfaceNetwork: true, ...(ipam === undefined ? {} : { ipam }) });
      const before = await pictureOf(one.lab);
      const result = await one.add();
      expect(result.ips?.map(({ address, interface: owner }) => [address, owner])).toEqual(
        [...inPod.addresses, ...more].map((address) => [address, 0]),
      );
      expect(result.routes).toEqual(
        expect.arrayContaining([
          { dst: '0.0.0.0/0', gw: '10.60.0.1', table: 100 },
          { dst: '10.71.0.0/16', gw: '10.60.0.1', priority: 9 },
          { dst: 'fd70::/16', gw: 'fd60::1', priority: 1024 },
          ...(ipam === undefined ? [] : [{ dst: '10.8.0.0/16', gw: '10.1.2.1' }]),
        ]),
      );
      const state = await one.podState();
      expect(addressTexts(state, 'net1').toSorted()).toEqual([...inPod.addresses, ...more].toSorted());
      expect(routesOf(state, 'net1')).toEqual(
        expect.arrayContaining(inPod.routes.map((route) => expect.objectContaining(route))),
      );
      expect(state.routes).toContainEqual(
        expect.objectContaining({ dst: '10.72.0.0/16', nexthops: expect.anything() }),
      );
      expect(await one.inPod('rule')).toContain('1000:\tfrom 10.60.0.2 lookup 100');
      await one.succeed('CHECK');
      await one.succeed('DEL');
      await one.expectHome(before);
      expect((await one.podState()).links.map(({ ifname }) => ifname)).toEqual(['lo']);
    },
  );
});
