import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { Lab } from '../testing/lab.ts';
import { readKernelFacts } from './kernel-facts.ts';

describe('what the kernel tells of links', () => {
  it('is whether they are up and have a carrier, and which of them the node talks through', async () => {
    using lab = new Lab();
    using netns = lab.open(lab.node);
    const ip = (command: string) => execFileSync('ip', ['-n', lab.node, ...command.split(' ')]);
    ip('link add dark type veth peer name peer');
    ip('link set dark up');
    ip('link add card type veth peer name wire');
    ip('link add bond type bridge');
    ip('link set card master bond');
    for (const name of ['card', 'wire', 'bond']) {
      ip(`link set ${name} up`);
    }
    ip('address add 192.0.2.1/24 dev bond');
    ip('route add default via 192.0.2.2');
    const { links, linkTypes, routed } = await readKernelFacts(netns.netlink);
    expect(['dark', 'peer', 'card'].map((name) => links.get(name))).toEqual([
      { isUp: true, hasCarrier: false },
      { isUp: false, hasCarrier: false },
      { isUp: true, hasCarrier: true },
    ]);
    expect(linkTypes.get('card')).toBe('ether');
    expect([...routed].sort()).toEqual(['bond', 'card']);
  });
});
