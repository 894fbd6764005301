/** `chrootDir`: where the agent is in a container, plugins of others are executed in the root of the node. */
import { chmodSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Lab, Pod } from '../../../lab/lab.ts';
import { OURS } from '../../../lab/programs.ts';
import { filesIn } from '../../../lab/state.ts';
import { network } from '../../../resident/networks.ts';
import { POD, Thick } from './thick.ts';

const OK = { exitCode: 0 };

/** The agent sees another `/mnt` than its node, whose root is the folder `root`, and other records where it is told so. */
const container = (lab: Lab, hasOwnRecords: boolean): readonly string[] => {
  const [root, records] = ['root', 'records'].map((name) => lab.folder(name));
  const lines = [
    'mount -t tmpfs none /var/lib && mkdir /var/lib/cni',
    `mount --rbind / ${root}`,
    `mount -t tmpfs none ${root}/mnt && echo node > ${root}/mnt/where`,
    ...(hasOwnRecords ? [`mount --bind ${records} ${root}/var/lib/cni`] : []),
    'exec "$@"',
  ];
  return ['unshare', '-m', '--propagation', 'slave', 'sh', '-ec', lines.join('\n'), 'sh'];
};

/** A plugin of somebody else, which writes down where it is, beside two of ours. */
function pluginsIn(lab: Lab): string {
  const folder = lab.folder('plugins');
  const result = '{"cniVersion":"1.1.0","ips":[{"address":"10.5.0.7/24"}]}';
  const lines = [
    '#!/bin/sh',
    'cat >/dev/null',
    `echo "$CNI_COMMAND $(cat /mnt/where 2>/dev/null || echo agent) $PWD" >> ${join(lab.dir, 'seen')}`,
    `[ "$CNI_COMMAND" != ADD ] || echo '${result}'`,
  ];
  writeFileSync(join(folder, 'other'), `${lines.join('\n')}\n`);
  chmodSync(join(folder, 'other'), 0o755);
  for (const name of ['macvlan', 'whereabouts']) {
    symlinkSync(join(OURS.bin, name), join(folder, name));
  }
  return folder;
}

const opened = (root = 'root', hasOwnRecords = false): Promise<Thick> =>
  Thick.open(
    (lab) => ({ chrootDir: join(lab.dir, root), binDir: pluginsIn(lab) }),
    (lab) => container(lab, hasOwnRecords),
  );

const seen = ({ lab }: Thick): readonly string[] =>
  readFileSync(join(lab.dir, 'seen'), 'utf8').split('\n').filter(Boolean);

async function attachAndDetach(thick: Thick, pod: Pod, ipam: object): Promise<void> {
  const conf = { cniVersion: '1.1.0', name: 'node', delegates: [{ ...network(thick.lab), ipam }] };
  const added = await thick.shim({ verb: 'ADD', netns: pod.path, conf });
  expect(added, added.stdout).toMatchObject(OK);
  const prevResult: unknown = JSON.parse(added.stdout);
  expect(await thick.linksOf(pod)).toEqual(['lo', 'eth0']);
  expect(await thick.shim({ verb: 'CHECK', netns: pod.path, conf: { ...conf, prevResult } })).toMatchObject(OK);
  expect(await thick.shim({ verb: 'DEL', netns: pod.path, conf })).toMatchObject(OK);
  expect(await thick.linksOf(pod)).toEqual(['lo']);
}

describe('chrootDir', () => {
  it('is the root of plugins of others, also of those that ours execute', async () => {
    await using thick = await opened();
    const pod = await thick.lab.pod();
    await attachAndDetach(thick, pod, { type: 'other' });
    expect(seen(thick)).toEqual(['ADD node /', 'CHECK node /', 'DEL node /']);
    expect(thick.agent.log).not.toContain('executes its own plugins');
  });

  it('is their root for an interface of a running pod as well', async () => {
    await using thick = await opened();
    const pod = await thick.lab.pod();
    const env = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c1', CNI_NETNS: pod.path, CNI_IFNAME: 'net5', CNI_ARGS: POD };
    const config = Buffer.from('{"cniVersion":"1.1.0","name":"far","type":"other"}').toString('base64');
    const asked = (verb: string) =>
      thick.ask('/delegate', { env: { ...env, CNI_COMMAND: verb }, config, interfaceAttributes: {} });
    expect(await asked('ADD')).toMatchObject({ status: 200, body: expect.stringContaining('10.5.0.7/24') });
    expect(await asked('DEL')).toMatchObject({ status: 200 });
    expect(seen(thick)).toEqual(['ADD node /', 'DEL node /']);
  });

  it('is the root of ours too where the agent has other records than the node', async () => {
    await using thick = await opened('root', true);
    const pod = await thick.lab.pod();
    await attachAndDetach(thick, pod, { type: 'whereabouts', datastore: 'file', range: '10.5.0.0/24' });
    expect(Object.keys(filesIn(join(thick.lab.dir, 'records')))).toContain('whereabouts/');
    expect(thick.agent.log).toContain('executes its own plugins too: \\"/var/lib/cni\\" is another folder in');
  });

  it('is passed over where there is no such folder: the agent is on the node itself', async () => {
    await using thick = await opened('hostroot');
    const pod = await thick.lab.pod();
    await attachAndDetach(thick, pod, { type: 'other' });
    expect(seen(thick)).toEqual(['ADD agent /', 'CHECK agent /', 'DEL agent /']);
    expect(thick.agent.log).toContain('passes over \\"chrootDir\\": there is no folder');
  });
});
