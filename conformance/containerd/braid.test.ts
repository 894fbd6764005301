/** `braid`, the command for people, on a node with a real container runtime. */
import { describe, expect, it } from 'vitest';
import { macvlan, makeRails, multus } from './networks.ts';
import { RUNTIMES, Site } from './site.ts';

interface Listed {
  readonly containerId: string;
  readonly ifName: string;
  readonly pod: string;
  readonly addresses: readonly string[];
  readonly namespace: string;
}

const listed = async (site: Site): Promise<readonly Listed[]> => {
  const { exitCode, stdout, stderr } = await site.braid('list', '--json');
  expect(exitCode, stderr).toBe(0);
  return JSON.parse(stdout) as readonly Listed[];
};

describe.each(RUNTIMES)('$name', (programs) => {
  it('braid list shows every interface of every pod, and which pods are gone', async () => {
    await using site = await Site.open(programs);
    await makeRails(site, 2);
    await site.configure([multus(site, 2)]);
    await site.leavesNothing(async () => {
      const [a, b] = [await site.run({ name: 'a' }), await site.run({ name: 'b' })];
      const row = (id: string, pod: string, ifName: string, address: string) =>
        expect.objectContaining({
          containerId: id,
          pod: `lab/${pod}`,
          ifName,
          addresses: [address],
          namespace: 'there',
        });
      expect(await listed(site)).toEqual([
        row(a.id, 'a', 'eth0', '10.6.0.1/24'),
        row(a.id, 'a', 'net1', '10.6.1.1/24'),
        row(b.id, 'b', 'eth0', '10.6.0.2/24'),
        row(b.id, 'b', 'net1', '10.6.1.2/24'),
      ]);
      await site.node.cutPower();
      await site.node.boot();
      expect((await listed(site)).map(({ namespace }) => namespace)).toEqual(Array(4).fill('gone'));
      await site.removeAll();
      expect(await listed(site)).toEqual([]);
    });
  });

  it('braid gc collects what DEL of another plugin has left, and nothing of living pods', async () => {
    await using site = await Site.open(programs);
    await makeRails(site, 3);
    await site.configure([multus(site, 3)]);
    await site.leavesNothing(async () => {
      const [a, b] = [await site.run({ name: 'a' }), await site.run({ name: 'b' })];
      await site.configure([macvlan()]);
      await site.remove(a);
      expect(site.reservations()).toHaveLength(5);
      expect(await site.braidAsking('ipam', 'check')).toMatchObject({ exitCode: 1 });
      expect(await site.braidAsking('gc', '--bin', site.bin)).toMatchObject({ exitCode: 0 });
      expect(site.reservations().map(({ containerId }) => containerId)).toEqual([b.id, b.id, b.id]);
      expect(await site.braidAsking('ipam', 'check')).toMatchObject({ exitCode: 0 });
      await site.configure([multus(site, 3)]);
      await site.remove(b);
    });
  });
});
