import { describe, expect, it } from 'vitest';
import { parseIp } from '../net/ip.ts';
import { fakeClock } from '../sys/testing/fake-clock.ts';
import { ip, Lab } from '../testing/lab.ts';
import { announce } from './announce.ts';
import { findLink } from './observe.ts';

const OLD = '02:00:00:00:00:99';
const MAC = '02:aa:00:00:00:07';

/** A pod whose link leads to the node, which believes that its addresses are somewhere else. */
function wired(lab: Lab): void {
  ip('-n', lab.node, 'link', 'add', 'far', 'type', 'veth', 'peer', 'name', 'net1', 'address', MAC);
  ip('-n', lab.node, 'link', 'set', 'net1', 'netns', lab.pod);
  ip('-n', lab.node, 'addr', 'add', '192.0.2.1/24', 'dev', 'far');
  ip('-n', lab.node, 'addr', 'add', '2001:db8::1/64', 'dev', 'far', 'nodad');
  ip('-n', lab.pod, 'link', 'set', 'net1', 'up');
}

function believe(lab: Lab): void {
  for (const address of ['192.0.2.5', '2001:db8::5']) {
    ip('-n', lab.node, 'neigh', 'replace', address, 'lladdr', OLD, 'dev', 'far', 'nud', 'stale');
  }
}

const believed = (lab: Lab): Readonly<Record<string, string>> =>
  Object.fromEntries(
    (ip('-n', lab.node, 'neigh', 'show', 'dev', 'far') as readonly { dst: string; lladdr: string }[])
      .filter(({ dst }) => ['192.0.2.5', '2001:db8::5'].includes(dst))
      .map(({ dst, lladdr }) => [dst, lladdr]),
  );

async function announceIn(lab: Lab, onSleep: () => Promise<void>): Promise<readonly string[]> {
  const lines: string[] = [];
  using netns = lab.openPod();
  const link = (await findLink(netns.netlink, 'net1')) ?? expect.fail('no link');
  const addresses = ['192.0.2.5', '2001:db8::5'].flatMap((text) => parseIp(text) ?? []);
  await announce({ netns, link, mac: link.mac, addresses, clock: fakeClock(onSleep), log: (line) => lines.push(line) });
  return lines;
}

describe('announce', () => {
  it('tells neighbours on the other side where the addresses are', async () => {
    using lab = new Lab();
    wired(lab);
    ip('-n', lab.node, 'link', 'set', 'far', 'up');
    believe(lab);
    expect(believed(lab)).toEqual({ '192.0.2.5': OLD, '2001:db8::5': OLD });
    expect(await announceIn(lab, async () => undefined)).toEqual([]);
    expect(believed(lab)).toEqual({ '192.0.2.5': MAC, '2001:db8::5': MAC });
  });

  it('waits for the carrier', async () => {
    using lab = new Lab();
    wired(lab);
    let pauses = 0;
    const lines = await announceIn(lab, async () => {
      if (++pauses === 3) {
        ip('-n', lab.node, 'link', 'set', 'far', 'up');
        believe(lab);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    });
    expect([lines, believed(lab)]).toEqual([[], { '192.0.2.5': MAC, '2001:db8::5': MAC }]);
  });

  it('says that there is no carrier', async () => {
    using lab = new Lab();
    wired(lab);
    expect(await announceIn(lab, async () => undefined)).toEqual([expect.stringContaining('ENETDOWN')]);
  });
});
