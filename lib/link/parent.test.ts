import { describe, expect, it } from 'vitest';
import { mac } from '../testing/mac.ts';
import type { LinkFacts } from './observe.ts';
import { mtuFault, parentFault } from './parent.ts';

const address = mac('02:00:00:00:00:01');
const parent = { index: 3, name: 'eth0', mac: address, mtu: 9000, slaveKind: '' } as Partial<LinkFacts> as LinkFacts;

describe('parentFault', () => {
  it('names what the parent is enslaved to', () => {
    expect(parentFault({ ...parent, masterIndex: 9, slaveKind: 'bridge' })).toBe('is enslaved to a bridge');
    expect(parentFault({ ...parent, masterIndex: 9, slaveKind: 'vrf' })).toBeUndefined();
    expect(parentFault(parent)).toBeUndefined();
  });
});

describe('mtuFault', () => {
  it("is an MTU above the parent's", () => {
    expect([0, 1500, 9000].map((mtu) => mtuFault(mtu, parent))).toEqual([undefined, undefined, undefined]);
    expect(mtuFault(9001, parent)).toBe('parent "eth0" has 9000');
  });
});
