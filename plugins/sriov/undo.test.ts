import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { ALL, attached, Bench, OK } from './testing/bench.ts';
import { link, OWN_MAC, VF } from './testing/fake-nic.ts';

/** The changes that an ADD requests from the kernel. */
async function stepsOfAdd(): Promise<readonly string[]> {
  using bench = new Bench();
  await bench.run('ADD', ALL);
  return bench.nic.steps;
}

describe('a step of ADD that fails', async () => {
  const steps = (await stepsOfAdd()).map((step, nth) => [nth, step] as const);

  it('is one of many', () => {
    expect(steps.length).toBeGreaterThan(8);
  });

  it.each(steps.filter(([, step]) => step !== 'sysctl'))('leaves nothing: %i, %s', async (nth) => {
    using bench = new Bench();
    bench.nic.home.links.find(({ parentDev }) => parentDev === VF)?.altNames.push('extra');
    const before = bench.nic.picture();
    // a change of a VF is retried attribute by attribute
    const limit = steps[nth]?.[1] === 'SETLINK vf' ? 2 : 1;
    bench.nic.onStep = () => (bench.nic.steps.length > nth && bench.nic.steps.length <= nth + limit ? 22 : undefined);
    const { exitCode } = await bench.run('ADD', ALL);
    bench.nic.onStep = () => undefined;
    expect(exitCode).toBe(1);
    expect(bench.nic.picture()).toEqual(before);
    expect([bench.files(), bench.leases.size]).toEqual([{}, 0]);
  });
});

describe('ADD after an interruption', () => {
  it('refuses a repeated ADD', async () => {
    const { bench } = await attached();
    using _ = bench;
    const before = bench.nic.picture();
    const { stdout } = await bench.run('ADD', ALL);
    expect(JSON.parse(stdout)).toMatchObject({
      code: 11,
      msg: expect.stringContaining('the container already has it'),
    });
    expect(bench.nic.picture()).toEqual(before);
  });

  it('undoes an ADD of its own that was killed', async () => {
    const { bench, before } = await attached();
    using _ = bench;
    bench.put('c1-net1', (bench.files()['c1-net1'] ?? '').replace('"attached"', '"changing"'));
    expect(await bench.run('ADD', { vlan: 7 })).toMatchObject(OK);
    expect(bench.nic.vfs[1]).toMatchObject({ vlan: 7, trust: 0 });
    await bench.run('DEL');
    expect(bench.nic.picture()).toEqual(before);
  });

  it.each<[string, (bench: Bench) => void]>([
    [
      'a boot',
      (bench) => {
        bench.bootId = 'the next one';
      },
    ],
    ['the VFs were recreated', ({ nic }) => nic.remake()],
    [
      'a boot, by the Go plugin',
      (bench) => {
        const { braid: _, ...form } = JSON.parse(bench.files()['c1-net1'] ?? '') as Record<string, unknown>;
        bench.put('c1-net1', JSON.stringify(form));
        utimesSync(join(bench.stateDir, 'c1-net1'), 1, 1);
      },
    ],
  ])('does not apply a record from before %s', async (_, happens) => {
    const { bench } = await attached();
    using _bench = bench;
    bench.nic.endPod();
    happens(bench);
    // as the administrator has set it up since
    Object.assign(bench.nic.interface ?? {}, { name: 'p1v1', mtu: 4200, mac: '02:00:00:00:00:42' });
    Object.assign(bench.nic.vfs[1] ?? {}, { vlan: 42, trust: 1, spoofCheck: 1, linkState: 0 });
    bench.nic.showNames();
    const today = bench.nic.picture();
    expect(await bench.run('DEL')).toMatchObject(OK);
    expect([bench.nic.picture(), bench.files(), bench.leases.size]).toEqual([today, {}, 0]);
  });

  it('cleans up a VF whose pod has died without DEL', async () => {
    const { bench, before } = await attached();
    using _ = bench;
    bench.nic.endPod();
    Object.assign(bench.nic.pod, { path: '/run/netns/next', alive: true, links: [link({ index: 1, name: 'lo' })] });
    expect(await bench.run('ADD', {}, { CNI_CONTAINERID: 'c2' })).toMatchObject(OK);
    expect(bench.nic.vfs).toEqual((before as unknown[])[2]);
    expect(bench.nic.interface).toMatchObject({ name: 'net1', mac: OWN_MAC, mtu: 1500 });
    expect(Object.keys(bench.files())).toEqual(['c2-net1', `pci/${VF}`]);
    expect(await bench.run('DEL', {}, { CNI_CONTAINERID: 'c2' })).toMatchObject(OK);
    expect([bench.nic.home.links]).toEqual([(before as unknown[])[0]]);
  });
});
