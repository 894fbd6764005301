/** ADD or DEL fails or is killed under a real runtime: nothing leaks, and a pod can always go. */

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { databaseIn } from '../lab/store.ts';
import { macvlan, makeRails, multus, whereabouts } from './networks.ts';
import { RUNTIMES, Site } from './site.ts';
import { placeScript } from './tap.ts';

describe.each(RUNTIMES)('$name', (programs) => {
  it('no address is left: the pod fails with the words of the plugin, and nothing of it stays', async () => {
    await using site = await Site.open(programs);
    await makeRails(site, 3);
    const [first, second, third] = multus(site, 3).delegates;
    const delegates = [first, second, { ...third, ipam: whereabouts('10.6.2.0/30') }];
    await site.configure([multus(site, 0, { delegates })]);
    await site.leavesNothing(async () => {
      const a = await site.run({ name: 'a' });
      await site.run({ name: 'b' });
      await expect(site.run({ name: 'c' })).rejects.toThrow('Could not allocate IP in range');
      expect(site.reservations()).toHaveLength(6);
      await site.remove(a);
      await site.run({ name: 'd' });
      await site.removeAll();
    });
  });

  it('ADD and its DEL fail: ours is given back at once, and the rest when that DEL works again', async () => {
    await using site = await Site.open(programs);
    await makeRails(site, 2);
    const broken = join(site.lab.dir, 'broken');
    writeFileSync(broken, '');
    placeScript(join(site.bin, 'sometimes'), [
      'cat >/dev/null',
      `[[ -e '${broken}' && $CNI_COMMAND != STATUS ]] || exit 0`,
      `echo '{ "cniVersion": "1.0.0", "code": 100, "msg": "it is broken" }'`,
      'exit 1',
    ]);
    const delegates = [...multus(site, 2).delegates, { cniVersion: '1.0.0', name: 'third', type: 'sometimes' }];
    const conf = multus(site, 0, { delegates });
    await site.configure([conf]);
    await site.leavesNothing(async () => {
      await expect(site.run({ name: 'a' })).rejects.toThrow('it is broken');
      expect(site.reservations()).toEqual([]);
      rmSync(broken);
      await site.removeAll(); // containerd 1 has kept the sandbox for that, containerd 2 forgets it
      await site.collect(conf);
    });
  });

  it('a damaged store: ADD and DEL fail and name it, and pods can go once it is repaired', async () => {
    await using site = await Site.open(programs);
    await site.configure([macvlan()]);
    await site.leavesNothing(async () => {
      const a = await site.run({ name: 'a' });
      await site.remove(await site.run({ name: 'b' })); // so that there are later transactions
      const log = `${databaseIn(join(site.node.stateDir, 'whereabouts'))}-wal`;
      const sound = readFileSync(log);
      const damaged = Buffer.from(sound);
      damaged.writeUInt8(damaged.readUInt8(100) ^ 1, 100);
      writeFileSync(log, damaged);
      await site.node.forget(); // a log is read by who opens it
      await expect(site.run({ name: 'c' })).rejects.toThrow('cannot trust the store "/var/lib/cni/whereabouts/');
      await expect(site.cri.stop(a.id)).rejects.toThrow('cannot trust the store "/var/lib/cni/whereabouts/');
      writeFileSync(log, sound);
      await site.node.forget();
      await site.removeAll();
    });
  });

  it('a parent that is gone: the pod fails with its name, and starts when it is back', async () => {
    await using site = await Site.open(programs);
    await makeRails(site, 1);
    await site.configure([macvlan({ master: 'rail0' })]);
    await site.lab.ip(site.lab.node, 'link del rail0');
    await expect(site.run({ name: 'a' })).rejects.toThrow('rail0');
    expect(site.reservations()).toEqual([]);
    await makeRails(site, 1);
    await site.remove(await site.run({ name: 'b' }));
  });
});
