/** braid doctor asks a real runtime for its version and its folders. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { macvlan } from './networks.ts';
import { RUNTIMES, Site } from './site.ts';

const doctor = async (site: Site, bin = site.bin) => {
  const { socket } = site.node.forPeople();
  const { exitCode, stdout } = await site.braid('doctor', '--cri', socket, '--bin', bin);
  return { exitCode, stdout };
};

describe.each(RUNTIMES)('$name', (programs) => {
  it('is well, with a pod on it', async () => {
    await using site = await Site.open(programs);
    await site.configure([macvlan()]);
    await site.run({ name: 'pod' });
    expect(await doctor(site)).toEqual({
      exitCode: 0,
      stdout: expect.stringMatching(/^no problems found \(containerd /),
    });
  });

  it('says from where plugins are taken, that loopback is missing, and which version is too new', async () => {
    await using site = await Site.open(programs, { cniVersion: '1.1.0' });
    await site.configure([macvlan()]);
    const elsewhere = await doctor(site, '/opt/cni/bin');
    expect(elsewhere.stdout).toContain(`containerd runs plugins from "${site.bin}", not from "/opt/cni/bin"`);
    rmSync(join(site.bin, 'loopback'));
    const { exitCode, stdout } = await doctor(site);
    expect(exitCode).toBe(1);
    expect(stdout).toContain('plugin "loopback" is missing in');
    expect(stdout.includes('cniVersion 1.1.0, which containerd')).toBe(programs.name === 'containerd 1');
  });
});
