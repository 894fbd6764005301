/** STATUS, which containerd 2 calls whenever it is asked for its own: under a kubelet every few seconds. */
import { describe, expect, it } from 'vitest';
import type { RuntimePrograms } from './install.ts';
import { macvlan, makeRails, multus } from './networks.ts';
import { until } from './poll.ts';
import { RUNTIMES, Site } from './site.ts';
import { Tap } from './tap.ts';

const networkIsReady = async ({ cri }: Site): Promise<boolean> =>
  (await cri.status()).conditions.some(({ type, status }) => type === 'NetworkReady' && status);

const containerd2 = RUNTIMES.find(({ name }) => name === 'containerd 2');

describe.skipIf(containerd2 === undefined)('containerd 2', () => {
  const programs = containerd2 as RuntimePrograms;

  it.each(['macvlan', 'multus'])('%s answers STATUS each time, and writes no line when all is well', async (plugin) => {
    await using site = await Site.open(programs);
    await makeRails(site, 1);
    const tap = Tap.into(site, plugin);
    await site.configure([plugin === 'macvlan' ? macvlan({ master: 'rail0' }) : multus(site, 1)]);
    const [log, calls] = [site.node.log, tap.calls().length];
    for (let round = 0; round < 10; round++) {
      expect(await networkIsReady(site)).toBe(true);
    }
    expect(tap.verbs().slice(calls)).toEqual(Array(10).fill('STATUS'));
    expect(site.node.log).toBe(log);
  });

  it('a node whose parent is gone is not ready, says why, and is ready again when it is back', async () => {
    await using site = await Site.open(programs);
    await makeRails(site, 1);
    await site.configure([macvlan({ master: 'rail0' })]);
    await site.lab.ip(site.lab.node, 'link del rail0');
    await until('the network not to be ready', async () => ((await networkIsReady(site)) ? undefined : true));
    const { conditions } = await site.cri.status();
    expect(conditions).toContainEqual(
      expect.objectContaining({ type: 'NetworkReady', status: false, message: expect.stringContaining('rail0') }),
    );
    await makeRails(site, 1);
    await until('the network to be ready', async () => ((await networkIsReady(site)) ? true : undefined));
  });
});
