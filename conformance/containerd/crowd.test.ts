/** Many pods: at once, and one after another. */
import { describe, expect, it } from 'vitest';
import { macvlan, makeRails, multus, railName } from './networks.ts';
import { type Pod, RUNTIMES, Site } from './site.ts';

const RAILS = 3;

/** Every address that the kernel has in a pod. */
const addressesOf = async (site: Site, pod: Pod, ifNames: readonly string[]): Promise<readonly string[]> =>
  (await Promise.all(ifNames.map((ifName) => site.addresses(pod, ifName)))).flat();

describe.each(RUNTIMES)('$name', (programs) => {
  it('20 pods at once get 60 different addresses, which the store and the kernel agree on, and give all back', async () => {
    await using site = await Site.open(programs);
    await makeRails(site, RAILS);
    await site.configure([multus(site, RAILS)]);
    const ifNames = Array.from({ length: RAILS }, (_, rail) => railName(rail));
    await site.leavesNothing(async () => {
      const names = Array.from({ length: 20 }, (_, index) => `pod-${index}`);
      const pods = await Promise.all(names.map((name) => site.run({ name })));
      const inKernel = (await Promise.all(pods.map((pod) => addressesOf(site, pod, ifNames)))).flat();
      const inStore = site.reservations().map(({ address }) => `${address}/24`);
      expect(new Set(inKernel).size).toBe(60);
      expect(inStore.toSorted()).toEqual(inKernel.toSorted());
      expect(await site.braidAsking('ipam', 'check')).toMatchObject({ exitCode: 0 });
      await Promise.all(pods.map(({ id }) => site.cri.stop(id)));
      expect(site.reservations()).toEqual([]);
      await Promise.all(pods.map(({ id }) => site.cri.remove(id)));
    });
  });

  it('100 pods one after another, each next to the two before it, never share an address and leak none', async () => {
    await using site = await Site.open(programs);
    await site.configure([macvlan()]);
    await site.leavesNothing(async () => {
      const living: Pod[] = [];
      for (let index = 0; index < 100; index++) {
        living.push(await site.run({ name: `pod-${index}` }));
        const held = site.reservations();
        expect(held.map(({ containerId }) => containerId).toSorted()).toEqual(living.map(({ id }) => id).toSorted());
        expect(new Set(living.flatMap(({ ips }) => ips)).size).toBe(living.length);
        if (living.length === 3) {
          await site.remove(living.shift() as Pod);
        }
      }
      expect(await site.braidAsking('ipam', 'check')).toMatchObject({ exitCode: 0 });
      await Promise.all(living.map((pod) => site.remove(pod)));
    });
  }, 300_000);
});
