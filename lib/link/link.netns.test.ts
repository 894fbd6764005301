import { describe, expect, it } from 'vitest';
import { type Cidr, parseCidr } from '../net/cidr.ts';
import { ip, Lab } from '../testing/lab.ts';
import { configuring } from './addressing.ts';
import { findLink, findLinkByIndex, listAddresses } from './observe.ts';
import { listRoutes } from './routes.ts';

const cidr = (text: string): Cidr => {
  const parsed = parseCidr(text);
  if (parsed === undefined) {
    throw new Error(text);
  }
  return parsed;
};

describe('setUpLink', () => {
  it('adds addresses and routes that ip sees', async () => {
    using lab = new Lab();
    using pod = lab.openPod();
    ip('-n', lab.pod, 'link', 'add', 'net1', 'type', 'bridge');
    const link = (await findLink(pod.netlink, 'net1')) ?? { index: 0, name: '' };
    const route = { gateway: undefined, mtu: undefined, advmss: undefined, priority: undefined, table: 254, scope: 0 };
    const setup = configuring(
      pod,
      link,
      {
        addresses: [cidr('192.0.2.5/24'), cidr('192.0.2.9/31'), cidr('2001:db8::5/64')],
        routes: [
          { ...route, destination: cidr('198.51.100.0/24'), gateway: cidr('192.0.2.1/32').ip, mtu: 1300, advmss: 1200 },
          { ...route, destination: cidr('0.0.0.0/0'), table: 300, priority: 7 },
          { ...route, destination: cidr('::/0'), gateway: cidr('2001:db8::1/128').ip },
        ],
      },
      () => undefined,
    );
    await lab.scope().setUpLink(pod, setup);
    const [seen] = ip('-n', lab.pod, 'addr', 'show', 'net1') as [{ addr_info: readonly Record<string, unknown>[] }];
    expect(seen.addr_info).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ local: '192.0.2.5', prefixlen: 24, broadcast: '192.0.2.255' }),
        expect.not.objectContaining({ local: '192.0.2.9', broadcast: expect.anything() }),
        expect.objectContaining({ local: '2001:db8::5', prefixlen: 64 }),
      ]),
    );
    const routes = ip('-n', lab.pod, 'route', 'show', 'table', 'all') as unknown[];
    expect(routes).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          dst: '198.51.100.0/24',
          gateway: '192.0.2.1',
          metrics: [{ mtu: 1300, advmss: 1200 }],
        }),
        expect.objectContaining({ dst: 'default', table: '300', metric: 7 }),
      ]),
    );
    expect((await listRoutes(pod.netlink)).filter(({ table }) => table === 300)).toHaveLength(1);
    expect((await listAddresses(pod.netlink, link.index)).length).toBeGreaterThanOrEqual(3);
  });
});

describe('removeLink', () => {
  it('deletes links of several namespaces that are asked for at once', async () => {
    using lab = new Lab();
    using other = new Lab();
    const scope = lab.scope();
    const opened = [lab, other].map((each) => each.openPod());
    const names = ['br-a', 'br-b', 'br-c'];
    for (const name of names) {
      for (const { pod } of [lab, other]) {
        ip('-n', pod, 'link', 'add', name, 'type', 'bridge');
      }
    }
    const kept = (ip('-n', lab.pod, 'link', 'show', 'lo') as [{ ifindex: number }])[0].ifindex;
    const indexes = await Promise.all(
      opened.flatMap((netns) =>
        names.map(async (name) => ({ netns, index: (await findLink(netns.netlink, name))?.index ?? 0 })),
      ),
    );
    await Promise.all(indexes.map(({ netns, index }) => scope.removeLink(netns, index)));
    for (const { netns, index } of indexes) {
      expect(await findLinkByIndex(netns.netlink, index)).toBeUndefined();
    }
    expect(ip('-n', lab.pod, 'link')).toHaveLength(1);
    expect(kept).toBe(1);
    for (const netns of opened) {
      netns[Symbol.dispose]();
    }
  });

  it('takes a link that is gone as deleted, and deletes the others', async () => {
    using lab = new Lab();
    using pod = lab.openPod();
    ip('-n', lab.pod, 'link', 'add', 'br-a', 'type', 'bridge');
    const index = (await findLink(pod.netlink, 'br-a'))?.index ?? 0;
    const { removeLink } = lab.scope();
    await Promise.all([removeLink(pod, index), removeLink(pod, 4711), removeLink(pod, 4712)]);
    expect(ip('-n', lab.pod, 'link')).toHaveLength(1);
  });
});
