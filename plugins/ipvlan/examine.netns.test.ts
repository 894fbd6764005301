import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../lib/cni/json.ts';
import { Lab, PARENT } from '../../lib/testing/lab.ts';
import { examine } from './examine.ts';

const network = (name: string, conf: JsonObject): JsonObject => ({ name, type: 'ipvlan', master: PARENT, ...conf });

async function textsOf(...confs: readonly JsonObject[]): Promise<readonly string[]> {
  using lab = new Lab();
  const findings = await examine(lab.scope(), { confs, records: [], isGone: () => false });
  return findings.map(({ text }) => text).filter((text) => !/^the kernel has no ipvlan/.test(text));
}

describe('braid doctor on ipvlan', () => {
  it('finds networks that give one parent two modes', async () => {
    expect(
      await textsOf(network('a', {}), network('b', { mode: 'l3' }), network('c', { mode: 'l3', mtu: 1400 })),
    ).toEqual([
      `networks "a" (mode l2) and "c" (mode l3) share parent "${PARENT}": each ADD of one changes the mode of the other's pods`,
    ]);
  });

  it('has nothing against two modes on two parents, or inside containers', async () => {
    expect(await textsOf(network('a', {}), network('b', { mode: 'l3', master: 'up1' }))).toEqual([]);
    expect(await textsOf(network('a', {}), network('b', { mode: 'l3', linkInContainer: true }))).toEqual([]);
  });

  it('finds a parent that is missing or takes no children, and an MTU above it', async () => {
    expect(await textsOf(network('a', { master: 'absent0' }))).toEqual([expect.stringContaining('"absent0"')]);
    expect(await textsOf(network('a', { mtu: 9000 }))).toEqual([expect.stringContaining('MTU 9000')]);
  });

  it('reports a configuration that it cannot read once', async () => {
    expect(await textsOf(network('a', { mode: 'l7' }))).toEqual([expect.stringContaining('"mode"')]);
  });
});
