import { execFileSync } from 'node:child_process';
import { closeSync, constants, readSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findDevice } from '../../link/device.ts';
import type { Netns } from '../../netns/netns.ts';
import { Lab, PARENT } from '../../testing/lab.ts';
import { type ConfFamily, differingSettings } from './family-conf.ts';

/** Read-only, or what the kernel does not tell. */
const UNTOLD = ['mc_forwarding', 'stable_secret', 'ra_honor_pio_life', 'ra_honor_pio_pflag', 'regen_min_advance'];

function fileNames(node: string, family: ConfFamily): readonly string[] {
  const words = ['netns', 'exec', node, 'ls', `/proc/sys/net/${family}/conf/${PARENT}`];
  const names = execFileSync('ip', words, { encoding: 'utf8' }).trim().split('\n');
  return names.filter((name) => !UNTOLD.includes(name));
}

function read(netns: Netns, path: string): string {
  const fd = netns.openFile(`/proc/sys/${path}`, constants.O_RDONLY);
  try {
    const bytes = Buffer.alloc(64);
    return bytes.toString('utf8', 0, readSync(fd, bytes)).trim();
  } finally {
    closeSync(fd);
  }
}

/** Writes the first of some values that the kernel takes and that is another than before. */
function change(netns: Netns, path: string): string {
  const before = Number(read(netns, path));
  for (const value of [before + 1, before - 1, 1 - before]) {
    try {
      netns.writeSysctl(path, String(value));
    } catch {
      continue;
    }
    const after = read(netns, path);
    if (after !== String(before)) {
      return after;
    }
  }
  throw new Error(`cannot change ${path}`);
}

describe.each(['ipv4', 'ipv6'] as const)('the settings that the kernel tells of a link, %s', (family) => {
  it('are called as their files, and are what these show', async () => {
    using lab = new Lab();
    const { host: netns } = lab.scope().node;
    const told = async (): Promise<Buffer> => {
      const device = await findDevice(netns.netlink, PARENT);
      return (family === 'ipv4' ? device?.inetConf : device?.inet6Conf) ?? Buffer.alloc(0);
    };
    const names = fileNames(lab.node, family);
    expect(names.length).toBeGreaterThan(25);
    for (const name of names) {
      const before = await told();
      const value = change(netns, `net/${family}/conf/${PARENT}/${name}`);
      expect(differingSettings(family, await told(), before)).toContainEqual({ name, value });
    }
  });

  it('can be written back', async () => {
    using lab = new Lab();
    const { host: netns } = lab.scope().node;
    const conf = `net/${family}/conf/${PARENT}`;
    const names = fileNames(lab.node, family);
    const before = names.map((name) => [name, read(netns, `${conf}/${name}`)]);
    const told = async () =>
      (await findDevice(netns.netlink, PARENT))?.[family === 'ipv4' ? 'inetConf' : 'inet6Conf'] ?? Buffer.alloc(0);
    const wanted = await told();
    for (const name of names) {
      change(netns, `${conf}/${name}`);
    }
    const faults = differingSettings(family, wanted, await told()).flatMap(({ name, value }) => {
      try {
        netns.writeSysctl(`${conf}/${name}`, value);
        return [];
      } catch (error) {
        return [`${name} ${value}: ${error}`];
      }
    });
    expect(faults).toEqual([]);
    expect(names.map((name) => [name, read(netns, `${conf}/${name}`)])).toEqual(before);
  });
});
