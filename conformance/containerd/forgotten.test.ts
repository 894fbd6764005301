/** braid gc collects what belongs to a sandbox that the runtime has forgotten. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeRails, multus } from './networks.ts';
import { RUNTIMES, Site } from './site.ts';
import { placeScript } from './tap.ts';

async function collect(site: Site): Promise<string> {
  const { exitCode, stdout, stderr } = await site.braidAsking('gc', '--bin', site.bin);
  expect(exitCode, stderr).toBe(0);
  return stdout;
}

describe.each(RUNTIMES)('$name', (programs) => {
  it('ADD and its DEL failed, and nobody calls DEL again', async () => {
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
    await site.configure([multus(site, 0, { delegates, retryDeleteOnError: true })]);
    await site.leavesNothing(async () => {
      await expect(site.run({ name: 'a' })).rejects.toThrow('it is broken');
      rmSync(broken);
      // containerd 1 keeps the sandbox, and will call DEL again; containerd 2 has forgotten it
      const isForgotten = Object.keys(await site.cri.list()).length === 0;
      expect(isForgotten).toBe(programs.name === 'containerd 2');
      // Its records say where it was: a namespace that is gone proves enough, however young they are.
      expect(await collect(site)).toMatch(isForgotten ? /3 attachments of 1 container/ : /0 attachments/);
      await site.removeAll();
    });
  });
});
