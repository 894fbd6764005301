import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type CacheKey, writeCached } from '../../lib/cni/result-cache.ts';
import { temporaryFolder } from '../../lib/sys/testing/temporary.ts';
import { ip, Lab } from '../../lib/testing/lab.ts';
import { applyDefaultRoutes, planDefaultRoutes } from './default-route.ts';
import { recordDefaultRoutes } from './default-route-record.ts';

interface KernelRoute {
  readonly dst: string;
  readonly dev?: string;
  readonly gateway?: string;
  readonly metric?: number;
  readonly nexthops?: readonly { readonly gateway: string; readonly dev: string }[];
}

/** A pod with networks: eth0 and net1 … each with an address of either family. */
class Pod {
  readonly lab = new Lab();
  readonly networks: readonly string[];

  constructor(...networks: readonly string[]) {
    this.networks = networks;
    for (const [index, name] of networks.entries()) {
      this.link(name, index);
    }
  }

  /** With carrier. */
  link(name: string, index: number): void {
    this.ip('link', 'add', name, 'type', 'veth', 'peer', 'name', `peer-${name}`);
    this.ip('link', 'set', `peer-${name}`, 'up');
    this.ip('link', 'set', name, 'up');
    this.ip('addr', 'add', `10.${index}.0.5/24`, 'dev', name);
    this.ip('addr', 'add', `fd00:${index}::5/64`, 'dev', name, 'nodad');
  }

  ip(...args: readonly string[]): unknown {
    return ip('-n', this.lab.pod, ...args);
  }

  route(...args: readonly string[]): void {
    this.ip(...(args.some((arg) => arg.includes(':')) ? ['-6'] : []), 'route', 'append', ...args);
  }

  /** As ip(8) sees them: `via 10.0.0.1 dev eth0`. */
  defaults(...where: readonly string[]): readonly string[] {
    return ['-4', '-6'].flatMap((family) =>
      (this.ip(family, 'route', 'show', 'default', ...where) as KernelRoute[]).map(
        ({ gateway, dev, metric, nexthops }) =>
          nexthops?.map((hop) => `via ${hop.gateway} dev ${hop.dev}`).join(' and ') ??
          `via ${gateway} dev ${dev}${metric === undefined || metric === 1024 ? '' : ` metric ${metric}`}`,
      ),
    );
  }

  /** What `default-route` of each network asks for, done. */
  async apply(...wanted: readonly (readonly string[] | undefined)[]): Promise<void> {
    using netns = this.lab.openPod();
    const plans = planDefaultRoutes(wanted) ?? [];
    const networks = plans.map((routes, index) => ({
      ifName: this.networks[index] ?? `net${index}`,
      result: { interfaces: [] },
      routes,
    }));
    await applyDefaultRoutes(netns, networks);
  }

  [Symbol.dispose](): void {
    this.lab[Symbol.dispose]();
  }
}

/** Two networks, each with the defaults that an IPAM plugin gives; IPv6 makes one route of them. */
function podWithDefaults(): Pod {
  const pod = new Pod('eth0', 'net1');
  pod.route('default', 'via', '10.0.0.1', 'dev', 'eth0');
  pod.route('default', 'via', '10.1.0.254', 'dev', 'net1', 'metric', '100');
  pod.route('default', 'via', 'fd00:0::1', 'dev', 'eth0');
  pod.route('default', 'via', 'fd00:1::ff', 'dev', 'net1');
  pod.route('198.51.100.0/24', 'via', '10.0.0.9', 'dev', 'eth0');
  return pod;
}

describe('the default routes of a pod', () => {
  it.each([
    ['IPv4', [undefined, ['10.1.0.1']], ['via 10.1.0.1 dev net1']],
    ['IPv6', [undefined, ['fd00:1::1']], ['via fd00:1::1 dev net1']],
    ['both', [undefined, ['10.1.0.1', 'fd00:1::1']], ['via 10.1.0.1 dev net1', 'via fd00:1::1 dev net1']],
    ['one for each', [['fd00:0::7'], ['10.1.0.1']], ['via 10.1.0.1 dev net1', 'via fd00::7 dev eth0']],
    ['none', [undefined, []], []],
  ] as const)('are those that its networks want: %s', async (_, wanted, expected) => {
    using pod = podWithDefaults();
    expect(pod.defaults()).toEqual([
      'via 10.0.0.1 dev eth0',
      'via 10.1.0.254 dev net1 metric 100',
      'via fd00::1 dev eth0 and via fd00:1::ff dev net1',
    ]);
    await pod.apply(...wanted);
    expect(pod.defaults()).toEqual(expected);
    await pod.apply(...wanted);
    expect(pod.defaults()).toEqual(expected);
    expect(pod.ip('route', 'show', '198.51.100.0/24')).toMatchObject([{ gateway: '10.0.0.9', dev: 'eth0' }]);
  });

  it('are left alone where no network wants any', async () => {
    using pod = podWithDefaults();
    const before = pod.defaults();
    await pod.apply(undefined, undefined);
    expect(pod.defaults()).toEqual(before);
  });

  it('go whoever made them, and router advertisements bring none back', async () => {
    using pod = new Pod('eth0', 'net1');
    pod.route(
      'default',
      'via',
      'fe80::1',
      'dev',
      'eth0',
      'proto',
      'ra',
      'metric',
      '512',
      'expires',
      '1800',
      'pref',
      'high',
    );
    pod.route('default', 'dev', 'eth0', 'scope', 'link');
    pod.ip('route', 'append', 'default', 'via', '10.0.0.1', 'dev', 'eth0', 'tos', '0x10', 'mtu', '1300');
    await pod.apply(undefined, []);
    expect(pod.defaults()).toEqual([]);
    using netns = pod.lab.openPod();
    for (const name of ['eth0', 'net1']) {
      const file = `/proc/sys/net/ipv6/conf/${name}/accept_ra_defrtr`;
      expect(readFileSync(netns.openFile(file, 0), 'utf8')).toBe('0\n');
    }
  });

  it('of other tables stay: those who put them there have rules for them', async () => {
    using pod = podWithDefaults();
    pod.route('default', 'via', '10.1.0.254', 'dev', 'net1', 'table', '100');
    pod.route('default', 'via', 'fd00:1::ff', 'dev', 'net1', 'table', '100');
    await pod.apply(undefined, []);
    expect(pod.defaults('table', '100')).toEqual(['via 10.1.0.254 dev net1', 'via fd00:1::ff dev net1']);
  });

  it('of other interfaces stay, of which a network is not', async () => {
    using pod = podWithDefaults();
    pod.link('own0', 9);
    pod.route('default', 'via', '10.9.0.1', 'dev', 'own0', 'metric', '7');
    await pod.apply(undefined, ['10.1.0.1']);
    expect(pod.defaults()).toEqual(['via 10.1.0.1 dev net1', 'via 10.9.0.1 dev own0 metric 7']);
  });

  it('with several ways out lose those of the networks', async () => {
    using pod = new Pod('eth0', 'own0');
    const hops = (first: string, second: string) =>
      ['default', 'nexthop', 'via', first, 'dev', 'eth0', 'nexthop', 'via', second, 'dev', 'own0'] as const;
    pod.route(...hops('10.0.0.1', '10.1.0.1'));
    pod.route(...hops('fd00:0::1', 'fd00:1::1'));
    await pod.apply([]);
    expect(pod.defaults()).toEqual(['via 10.1.0.1 dev own0', 'via fd00:1::1 dev own0']);
  });

  it('through a nexthop object go too', async () => {
    using pod = new Pod('eth0');
    pod.ip('nexthop', 'add', 'id', '7', 'via', '10.0.0.1', 'dev', 'eth0');
    pod.ip('route', 'add', 'default', 'nhid', '7');
    await pod.apply([]);
    expect(pod.defaults()).toEqual([]);
  });

  it('of a network without an interface are none, and so nobody else loses any', async () => {
    using pod = podWithDefaults();
    const before = pod.defaults();
    const [, routes] = planDefaultRoutes([undefined, []]) ?? [];
    using netns = pod.lab.openPod();
    const missing = { ifName: 'net7', result: { interfaces: [] } };
    await applyDefaultRoutes(netns, routes === undefined ? [] : [{ ...missing, routes }]);
    expect(pod.defaults()).toEqual(before);
    const [wanting] = planDefaultRoutes([['10.1.0.1']]) ?? [];
    await expect(
      applyDefaultRoutes(netns, wanting === undefined ? [] : [{ ...missing, routes: wanting }]),
    ).rejects.toThrow('cannot add a default route to interface "net7": it does not exist');
  });

  it('go from all interfaces that a network has made', async () => {
    using pod = podWithDefaults();
    using netns = pod.lab.openPod();
    const [routes] = planDefaultRoutes([[]]) ?? [];
    const interfaces = [{ name: 'net1', sandbox: pod.lab.podPath }, { name: 'eth0' }];
    await applyDefaultRoutes(netns, routes === undefined ? [] : [{ ifName: 'net7', result: { interfaces }, routes }]);
    expect(pod.defaults()).toEqual(['via 10.0.0.1 dev eth0', 'via fd00::1 dev eth0']);
  });

  it('cannot be had through a gateway that nobody reaches, nor beside another one', async () => {
    using pod = podWithDefaults();
    await expect(pod.apply(undefined, ['203.0.113.1'])).rejects.toThrow(
      'cannot add route 0.0.0.0/0 via 203.0.113.1 dev net1: ENETUNREACH (network is unreachable): Nexthop has invalid gateway',
    );
    pod.link('own0', 9);
    pod.route('default', 'via', '10.9.0.1', 'dev', 'own0');
    await expect(pod.apply(undefined, ['10.1.0.1'])).rejects.toThrow(
      'cannot add route 0.0.0.0/0 via 10.1.0.1 dev net1: EEXIST (file exists): there is another default route via 10.9.0.1',
    );
  });
});

describe('default routes in the kernel and in the record', () => {
  it('are the same', async () => {
    using pod = podWithDefaults();
    using folder = temporaryFolder();
    const key = (index: number): CacheKey => ({ network: `n${index}`, containerId: 'C1', ifName: `net${index}` });
    const routes = [
      { dst: '0.0.0.0/0', gw: '10.1.0.254', priority: 100 },
      { dst: '::/0', gw: 'fd00:1::ff' },
    ];
    const rest = { netns: '', config: Buffer.from('{}'), args: [], capabilityArgs: {} };
    for (const index of [0, 1]) {
      writeCached(folder.path, { ...key(index), ...rest, result: { cniVersion: '1.0.0', routes } });
    }
    const wanted = [undefined, ['10.1.0.1', 'fd00:1::1']];
    await pod.apply(...wanted);
    for (const [index, plan] of (planDefaultRoutes(wanted) ?? []).entries()) {
      recordDefaultRoutes(folder.path, key(index), plan);
    }
    expect(pod.defaults()).toEqual(['via 10.1.0.1 dev net1', 'via fd00:1::1 dev net1']);
    const recordOf = (index: number): string =>
      readFileSync(join(folder.path, `results/n${index}-C1-net${index}`), 'utf8');
    expect(recordOf(0)).toBe(
      '{"config":"e30=","containerId":"C1","ifName":"net0","kind":"cniCacheV1","networkName":"n0","result":{"cniVersion":"1.0.0","routes":[]}}',
    );
    expect(JSON.parse(recordOf(1)).result.routes).toEqual([
      { dst: '0.0.0.0/0', gw: '10.1.0.1' },
      { dst: '::0/0', gw: 'fd00:1::1' },
    ]);
  });
});
