import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { encodePort } from '../netlink/codec/bridge.ts';
import { PARENT as DEVICE, ip, Lab } from '../testing/lab.ts';
import { advertise } from '../testing/router.ts';
import { findDevice } from './device.ts';
import { moveLink } from './moving.ts';
import { findLink } from './observe.ts';
import { type Picture, restorePicture, takePicture } from './picture.ts';

const inNode = (lab: Lab, script: string): string =>
  execFileSync('ip', ['netns', 'exec', lab.node, 'sh', '-c', script], { encoding: 'utf8' });

const onNode = (lab: Lab, ...commands: readonly string[]): void => {
  for (const command of commands) {
    ip('-n', lab.node, ...command.split(' '));
  }
};

/** The device goes to a pod and comes back as it was, so far as it can: what could not be restored. */
async function journey(lab: Lab, change: (picture: Picture) => Picture = (picture) => picture) {
  const { host: netns } = lab.scope().node;
  using pod = lab.openPod();
  const device = (await findDevice(netns.netlink, DEVICE)) ?? expect.fail('no device');
  const picture = await takePicture(netns, device);
  const away = await moveLink(netns, device, { netns: pod, name: 'net1' });
  const home = await moveLink(pod, away, { netns, name: DEVICE });
  return { faults: await restorePicture(netns, home, change(picture)), picture, away };
}

interface Address {
  readonly local: string;
  readonly valid_life_time: number;
  readonly preferred_life_time: number;
}

function addressesOf(lab: Lab): readonly Address[] {
  const [link] = ip('-n', lab.node, 'addr', 'show', 'dev', DEVICE) as [{ addr_info: readonly Address[] }];
  return link.addr_info;
}

const routesOf = (lab: Lab, ...query: readonly string[]): unknown =>
  ip('-n', lab.node, ...query, 'route', 'show', 'dev', DEVICE);

describe('addresses of a device that was away', () => {
  it('are there again with what is left of their lifetimes', async () => {
    using lab = new Lab();
    onNode(
      lab,
      `addr add 192.0.2.5/24 dev ${DEVICE} valid_lft 5000 preferred_lft 3000`,
      `addr add 2001:db8:1::5/64 dev ${DEVICE} valid_lft 5000 preferred_lft 3000 nodad`,
      `addr add 2001:db8:1::6/64 dev ${DEVICE} valid_lft 5000 preferred_lft 3000 mngtmpaddr noprefixroute nodad`,
      `addr add 2001:db8:1::7/64 dev ${DEVICE} valid_lft 5000 preferred_lft 500 nodad`,
      `addr add 2001:db8:1::8/64 dev ${DEVICE} valid_lft 900 preferred_lft 500 nodad`,
      `addr add 2001:db8:1::9/64 dev ${DEVICE} nodad`,
    );
    // a thousand seconds in a pod
    const { faults } = await journey(lab, ({ kept, ...picture }) => ({
      ...picture,
      kept: { ...kept, takenAt: (kept.takenAt ?? expect.fail('no time')) - 1000 },
    }));
    expect(faults).toEqual([]);
    const about = (seconds: number) => expect.toSatisfy((value: number) => value <= seconds && value > seconds - 60);
    const left = addressesOf(lab).map(({ local, valid_life_time: valid, preferred_life_time: preferred }) => [
      local,
      valid,
      preferred,
    ]);
    const forever = 4294967295;
    expect(left.toSorted()).toEqual([
      ['192.0.2.5', about(4000), about(2000)],
      ['2001:db8:1::5', about(4000), about(2000)],
      ['2001:db8:1::6', about(4000), about(2000)],
      ['2001:db8:1::7', about(4000), 0],
      ['2001:db8:1::9', forever, forever],
    ]);
  });

  it("and routes that the kernel made of a router's announcement are left to it", async () => {
    using lab = new Lab();
    const { host: netns } = lab.scope().node;
    inNode(lab, `echo 0 > /proc/sys/net/ipv6/conf/${DEVICE}/addr_gen_mode`);
    inNode(lab, `echo 2 > /proc/sys/net/ipv6/conf/${DEVICE}/use_tempaddr`);
    const router = (await findLink(netns.netlink, 'up1')) ?? expect.fail('no router');
    advertise(netns, router, { from: 'fe80::7', prefix: '2001:db8:7::' });
    await expect.poll(() => addressesOf(lab).filter(({ local }) => local.startsWith('2001:db8:7:')).length).toBe(2);
    await expect.poll(() => routesOf(lab, '-6')).toContainEqual(expect.objectContaining({ dst: 'default' }));
    onNode(
      lab,
      `addr add 2001:db8:1::5/64 dev ${DEVICE} nodad`,
      `-6 route add default via fe80::8 dev ${DEVICE} proto ra metric 5`,
      `-6 route add 2001:db8:9::/64 via fe80::8 dev ${DEVICE} proto static expires 500`,
    );
    const { faults, picture } = await journey(lab);
    expect(faults).toEqual([]);
    expect(addressesOf(lab).map(({ local }) => local)).not.toContainEqual(expect.stringMatching(/^2001:db8:7:/));
    expect(picture.kept.routes).toHaveLength(2);
    const routes = routesOf(lab, '-6');
    expect(routes).toContainEqual(expect.objectContaining({ dst: 'default', protocol: 'ra', metric: 5 }));
    expect(routes).toContainEqual(
      expect.objectContaining({
        dst: '2001:db8:9::/64',
        expires: expect.toSatisfy((left) => left > 400 && left <= 500),
      }),
    );
  });
});

describe('routes of a device that was away', () => {
  it('are there again with their source addresses, types of service, preferences and next hops', async () => {
    using lab = new Lab();
    onNode(
      lab,
      'link add other type bridge',
      'link set other up',
      'addr add 2001:db8:2::5/64 dev other nodad',
      `addr add 192.0.2.5/24 dev ${DEVICE}`,
      `addr add 2001:db8:1::5/64 dev ${DEVICE} nodad`,
      `route add 203.0.113.1 dev ${DEVICE} src 192.0.2.5`,
      `route add default via 203.0.113.1 src 192.0.2.5 metric 7`,
      `route add 198.51.100.0/25 via 203.0.114.1 dev ${DEVICE} onlink`,
      'route add 198.51.100.128/25 via 192.0.2.1 tos 0x10',
      'route add 10.1.0.0/16 nexthop via 192.0.2.1 weight 3 nexthop via 192.0.2.2',
      `-6 route add 2001:db8:3::/48 via 2001:db8:1::1 src 2001:db8:1::5 pref high`,
      '-6 route add 2001:db8:4::/48 nexthop via 2001:db8:1::1 nexthop via 2001:db8:2::1 nexthop via 2001:db8:1::2',
    );
    const all = () => JSON.parse(JSON.stringify(ip('-n', lab.node, 'route', 'show', 'table', 'main'))) as unknown[];
    const six = () => ip('-n', lab.node, '-6', 'route', 'show', 'table', 'main');
    await expect.poll(() => JSON.stringify(six())).not.toContain('linkdown');
    const before = [all(), six()] as const;
    expect((await journey(lab)).faults).toEqual([]);
    await expect.poll(() => JSON.stringify(all())).not.toContain('linkdown');
    expect(all()).toEqual(expect.arrayContaining(before[0]));
    const hops = (routes: unknown) =>
      (routes as { dst: string; nexthops?: { gateway: string }[]; gateway?: string }[])
        .flatMap(({ dst, nexthops, gateway }) => (nexthops ?? [{ gateway }]).map((hop) => `${dst} ${hop.gateway}`))
        .toSorted();
    expect(hops(six())).toEqual(hops(before[1]));
  });

  it('through a nexthop object do without it, and it is said', async () => {
    using lab = new Lab();
    onNode(
      lab,
      `addr add 192.0.2.5/24 dev ${DEVICE}`,
      `nexthop add id 5 via 192.0.2.1 dev ${DEVICE}`,
      'route add 198.51.100.0/24 nhid 5',
    );
    const { faults } = await journey(lab);
    expect(faults).toEqual([
      'route 198.51.100.0/24 via 192.0.2.1 does without nexthop object 5, which went with the link',
    ]);
    expect(routesOf(lab)).toContainEqual(expect.objectContaining({ dst: '198.51.100.0/24', gateway: '192.0.2.1' }));
  });

  it('that cannot be had are named', async () => {
    using lab = new Lab();
    onNode(lab, `addr add 192.0.2.5/24 dev ${DEVICE}`, 'route add 198.51.100.0/24 via 192.0.2.1 metric 9');
    const { faults } = await journey(lab, ({ kept, ...picture }) => ({ ...picture, kept: { ...kept, addresses: [] } }));
    expect(faults).toEqual([
      expect.stringMatching(/^cannot restore route 198\.51\.100\.0\/24 via 192\.0\.2\.1 metric 9: ENETUNREACH/),
    ]);
  });
});

describe('alternative names of a device', () => {
  it('stay at home while it is away', async () => {
    using lab = new Lab();
    onNode(lab, `link property add dev ${DEVICE} altname net1 altname second`);
    const { away, faults } = await journey(lab);
    expect([away.altNames, faults]).toEqual([[], []]);
    expect((ip('-n', lab.node, 'link', 'show', DEVICE) as [{ altnames: string[] }])[0].altnames.toSorted()).toEqual([
      'net1',
      'second',
    ]);
  });

  it('are there when it could not leave', async () => {
    using lab = new Lab();
    const { host: netns } = lab.scope().node;
    using pod = lab.openPod();
    onNode(lab, 'link add br0 type bridge', 'link property add dev br0 altname net1 altname second');
    const bridge = (await findDevice(netns.netlink, 'br0')) ?? expect.fail('no bridge');
    await expect(moveLink(netns, bridge, { netns: pod, name: 'net1' })).rejects.toThrow(
      /^cannot move link "br0" .*: EINVAL .*: a bridge belongs to its namespace$/,
    );
    expect((ip('-n', lab.node, 'link', 'show', 'br0') as [{ altnames: string[] }])[0].altnames.toSorted()).toEqual([
      'net1',
      'second',
    ]);
  });

  it('that udev has given back by then are no fault', async () => {
    using lab = new Lab();
    const { host: netns } = lab.scope().node;
    onNode(lab, `link property add dev ${DEVICE} altname second`);
    const device = (await findDevice(netns.netlink, DEVICE)) ?? expect.fail('no device');
    const picture = await takePicture(netns, device);
    expect(await restorePicture(netns, { ...device, altNames: [] }, picture)).toEqual([]);
  });
});

describe('a port of a bridge that was away', () => {
  const portOf = (lab: Lab): unknown => {
    const [link] = ip('-n', lab.node, '-d', 'link', 'show', DEVICE) as [{ linkinfo: { info_slave_data?: object } }];
    const {
      hold_timer: _h,
      message_age_timer: _m,
      forward_delay_timer: _f,
      ...lasting
    } = (link.linkinfo.info_slave_data ?? {}) as Record<string, unknown>;
    return lasting;
  };

  it('has its settings again', async () => {
    using lab = new Lab();
    onNode(lab, 'link add br0 type bridge', 'link set br0 up', `link set ${DEVICE} master br0`);
    onNode(
      lab,
      `link set ${DEVICE} type bridge_slave isolated on hairpin on fastleave on priority 3 cost 77 learning off`,
    );
    onNode(lab, `link set ${DEVICE} type bridge_slave flood off mcast_flood off neigh_suppress on mcast_router 2`);
    await expect.poll(() => portOf(lab)).toMatchObject({ state: 'forwarding' }); // as soon as the bridge knows of the carrier
    const before = portOf(lab);
    expect(before).toMatchObject({ isolated: true, hairpin: true, cost: 77 });
    expect((await journey(lab)).faults).toEqual([]);
    await expect.poll(() => portOf(lab)).toEqual(before);
  });

  it('is not enslaved to a bridge that is gone, and it is said', async () => {
    using lab = new Lab();
    onNode(lab, 'link add br0 type bridge', `link set ${DEVICE} master br0`);
    const { faults } = await journey(lab, (picture) => {
      onNode(lab, 'link del br0');
      return picture;
    });
    expect(faults).toEqual(['it is not enslaved to "br0" any more: there is no such link']);
  });

  it('stays out when the bridge does not take its settings, and it is said', async () => {
    using lab = new Lab();
    onNode(lab, 'link add br0 type bridge', `link set ${DEVICE} master br0`);
    const { faults } = await journey(lab, (picture) => ({
      ...picture,
      port: Buffer.concat(encodePort(0, { settings: Buffer.from('08002200ffff0000', 'hex') })), // a backup port that is not there
    }));
    expect(faults).toEqual([expect.stringMatching(/^it stays out of bridge "br0": cannot set "backup_port"/)]);
    expect((ip('-n', lab.node, 'link', 'show', DEVICE) as [{ master?: string }])[0].master).toBeUndefined();
  });
});
