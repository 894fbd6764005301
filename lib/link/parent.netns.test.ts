import { describe, expect, it } from 'vitest';
import { ip, Lab, PARENT } from '../testing/lab.ts';
import { advertise } from '../testing/router.ts';
import { findLink } from './observe.ts';
import { findParent } from './parent.ts';

const OTHER = 'up1';

/** A node with two ways out, and routes of its own. */
async function parentWith(...routes: readonly string[]): Promise<string> {
  using lab = new Lab();
  wire(lab);
  for (const route of routes) {
    run(lab, route);
  }
  return await chosenBy(lab);
}

function wire(lab: Lab): void {
  for (const text of [
    `addr add 192.0.2.2/24 dev ${PARENT}`,
    `addr add 198.51.100.2/24 dev ${OTHER}`,
    `addr add 2001:db8:1::2/64 dev ${PARENT} nodad`,
    `addr add 2001:db8:2::2/64 dev ${OTHER} nodad`,
  ]) {
    run(lab, text);
  }
}

const run = (lab: Lab, text: string): unknown => ip('-n', lab.node, ...text.split(' '));

async function chosenBy(lab: Lab): Promise<string> {
  return (await findParent(lab.scope().node.host.netlink, '')).name;
}

describe('the default parent', () => {
  it.each<[string, string, readonly string[]]>([
    [
      'that of the lower metric',
      PARENT,
      ['route add default via 198.51.100.1 metric 200', 'route add default via 192.0.2.1 metric 100'],
    ],
    [
      'not that of a route for one type of service',
      PARENT,
      ['route add default via 198.51.100.1 tos 0x10', 'route add default via 192.0.2.1 metric 100'],
    ],
    [
      'that of the first of two equal IPv4 routes',
      PARENT,
      ['route add default via 198.51.100.1', 'route prepend default via 192.0.2.1'],
    ],
    [
      'that of a table which a rule says',
      OTHER,
      [
        'route add default via 192.0.2.1',
        'route add default via 198.51.100.1 table 100',
        'rule add from all lookup 100 pref 5',
      ],
    ],
    [
      'that of IPv6 where IPv4 goes nowhere',
      OTHER,
      ['route add blackhole default', '-6 route add default via 2001:db8:2::1'],
    ],
    [
      'that of IPv4, whatever IPv6 does',
      PARENT,
      ['-6 route add default via 2001:db8:2::1 metric 1', 'route add default via 192.0.2.1 metric 900'],
    ],
    [
      'that of the next hop which lives',
      OTHER,
      ['route add default nexthop via 192.0.2.1 nexthop via 198.51.100.1', `link set ${PARENT} down`],
    ],
    [
      'that of the default route, not of the halves of a VPN',
      PARENT,
      [
        'route add 0.0.0.0/1 via 198.51.100.1',
        'route add 128.0.0.0/1 via 198.51.100.1',
        'route add default via 198.51.100.1 metric 9 tos 0x10',
        'route add default via 198.51.100.1 metric 70',
        'route add default via 192.0.2.1 metric 50',
      ],
    ],
    [
      'found on a node that throws away what goes to addresses nobody has',
      PARENT,
      ['route add blackhole 240.0.0.0/4', 'route add default via 192.0.2.1'],
    ],
  ])('is %s', async (_, expected, routes) => {
    expect(await parentWith(...routes)).toBe(expected);
  });

  it.each([
    ['low', 'high', OTHER],
    ['high', 'low', PARENT],
    ['medium', 'low', PARENT],
  ] as const)('is that of the router with the higher preference: %s and %s', async (one, other, expected) => {
    using lab = new Lab();
    const { host: netns } = lab.scope().node;
    wire(lab);
    const ends = [await findLink(netns.netlink, OTHER), await findLink(netns.netlink, PARENT)];
    for (const [index, preference] of [one, other].entries()) {
      advertise(netns, ends[index] ?? expect.fail('no link'), { from: `fe80::${index + 7}`, preference });
    }
    const routes = () => ip('-n', lab.node, '-6', 'route', 'show', 'default');
    await expect.poll(routes).toHaveLength(2);
    expect(await chosenBy(lab)).toBe(expected);
  });

  it('is none where there is no default route', async () => {
    await expect(parentWith('route add blackhole default', '-6 route add unreachable default')).rejects.toThrow(
      'cannot choose a "master": none is configured and there is no default route',
    );
  });
});
