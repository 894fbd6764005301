import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../sys/testing/temporary.ts';
import { discover } from './discovery.ts';
import type { DeviceFacts, LinkState } from './facts.ts';
import { ailmentOf, Health, type HealthRules } from './health.ts';
import { makeSampleNode, sampleKernel } from './testing/sample-node.ts';

const RULES: HealthRules = { link: true, rdma: true, settleMs: 5_000 };
const [VF, CARD, RDMA_VF] = ['0000:01:10.4', '0000:02:00.0', '0000:03:00.1'] as const;

function deviceAt(root: string, id: string): DeviceFacts {
  return discover(join(root, 'sys'), sampleKernel()).devices.find((one) => one.id === id) ?? expect.fail(id);
}

describe('a device', () => {
  const [up, down, dark]: readonly LinkState[] = [
    { isUp: true, hasCarrier: true },
    { isUp: false, hasCarrier: false },
    { isUp: true, hasCarrier: false },
  ];

  it.each<[what: string, id: string, link: string, state: LinkState | undefined, why: string | undefined]>([
    ['a function whose card is up', VF, 'eth0', up, undefined],
    ['a function whose card is down', VF, 'eth0', down, 'link "eth0" is down'],
    ['a function whose card is dark', VF, 'eth0', dark, 'link "eth0" has no carrier'],
    ['a function whose card is in a namespace', VF, 'eth0', undefined, undefined],
    ['a card that nobody has set up', CARD, 'eth1', down, undefined],
    ['a card without carrier', CARD, 'eth1', dark, 'link "eth1" has no carrier'],
  ])('is ill with its link: %s', (_, id, link, state, why) => {
    using folder = temporaryFolder();
    makeSampleNode(folder.path);
    const kernel = sampleKernel({ links: new Map(state && [[link, state]]) });
    const facts = deviceAt(folder.path, id);
    expect(ailmentOf(facts, kernel, RULES, join(folder.path, 'sys'))).toBe(why);
    expect(ailmentOf(facts, kernel, { ...RULES, link: false }, join(folder.path, 'sys'))).toBeUndefined();
  });

  it('is ill with its RDMA port', () => {
    using folder = temporaryFolder();
    makeSampleNode(folder.path);
    const facts = deviceAt(folder.path, RDMA_VF);
    const ports = join(folder.path, 'sys/bus/pci/devices', RDMA_VF, 'infiniband/mlx5_2/ports/1');
    const look = (rules = RULES) => ailmentOf(facts, sampleKernel(), rules, join(folder.path, 'sys'));
    expect(look()).toBeUndefined(); // it does not tell
    mkdirSync(ports, { recursive: true });
    writeFileSync(join(ports, 'state'), '1: DOWN\n');
    expect(look()).toBe('port 1 of RDMA device "mlx5_2" is DOWN');
    expect(look({ ...RULES, rdma: false })).toBeUndefined();
    writeFileSync(join(ports, 'state'), '4: ACTIVE\n');
    expect(look()).toBeUndefined();
  });
});

describe('health', () => {
  const rules: HealthRules = { link: true, rdma: false, settleMs: 5_000 };

  it('is lost at once, and back when nothing has been wrong for a while', () => {
    const health = new Health();
    const look = (ailment: string | undefined, now: number) => {
      const againMs = health.update(new Map([['a', ailment]]), rules, now);
      return [health.reasons.get('a'), againMs];
    };
    const never = Number.POSITIVE_INFINITY;
    expect(look(undefined, 0)).toEqual([undefined, never]);
    expect(look('dark', 1)).toEqual(['dark', never]);
    expect(look(undefined, 1_000)).toEqual(['dark', 5_000]);
    expect(look(undefined, 3_000)).toEqual(['dark', 3_000]);
    expect(look('dark again', 4_000)).toEqual(['dark again', never]);
    expect(look(undefined, 5_000)).toEqual(['dark again', 5_000]);
    expect(look(undefined, 10_000)).toEqual([undefined, never]);
  });

  it('of RDMA ports is looked at again and again, as the kernel does not tell', () => {
    expect(new Health().update(new Map(), { ...rules, rdma: true }, 0)).toBe(500);
  });
});
