/** braid uninstall where pods have ended while there were no plugins: nobody will ask for their DEL any more. */
import { randomBytes, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Outcome } from '../lab/execute.ts';
import type { Pod } from '../lab/lab.ts';
import { filesIn } from '../lab/state.ts';
import { serveSandboxes } from './fake-runtime.ts';
import { BraidNode } from './lab.ts';

interface Shown {
  readonly taken: readonly { readonly id: string }[];
}

const owners = async (node: BraidNode): Promise<readonly string[]> =>
  (await node.json<readonly Shown[]>('ipam show')).flatMap(({ taken }) => taken.map(({ id }) => id)).sort();

/** A pod as containerd makes them. */
async function attach(node: BraidNode, containerId = randomBytes(32).toString('hex')): Promise<[id: string, pod: Pod]> {
  const pod = await node.lab.pod({ name: `cni-${randomUUID()}` });
  const [conf] = (node.multus([node.network('blue')]) as { readonly plugins: readonly object[] }).plugins;
  const added = await node.lab.call({
    verb: 'ADD',
    plugin: 'multus',
    conf: { cniVersion: '1.1.0', name: 'node', ...conf },
    netns: pod.path,
    containerId,
    args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=${pod.name}`,
  });
  expect(added, added.stderr).toMatchObject({ exitCode: 0 });
  return [containerId, pod];
}

/** A node with plugins, a pod that is gone, and what its runtime says. */
async function onNode(
  test: (node: BraidNode, gone: string, uninstall: (known?: readonly string[]) => Promise<Outcome>) => Promise<void>,
  containerId?: string,
): Promise<void> {
  await using node = await BraidNode.open();
  node.configure(node.multus([node.network('blue')]));
  await node.braid(`install --bin ${node.bin}`);
  const [gone, pod] = await attach(node, containerId);
  await node.lab.remove(pod);
  const socket = join(node.lab.dir, 'cri.sock');
  await test(node, gone, async (known) => {
    const command = `uninstall --bin ${node.bin} --cri ${known === undefined ? 'none' : socket}`;
    await using _ = known && (await serveSandboxes(socket, known));
    return await node.about(command);
  });
}

const refused = (...pods: readonly string[]) => ({
  exitCode: 1,
  stderr: expect.stringMatching(new RegExp(`need the plugins for DEL[\\s\\S]*${pods.join('[\\s\\S]*')}`)),
});

describe('braid uninstall', () => {
  it('takes back what containers hold that their runtime has forgotten, and removes the plugins', () =>
    onNode(async (node, gone, uninstall) => {
      expect(await owners(node)).toEqual([gone]);
      const outcome = await uninstall([]);
      expect(outcome, outcome.stderr).toMatchObject({
        exitCode: 0,
        stdout: expect.stringContaining(`collected container ${gone}: `),
      });
      expect(await owners(node)).toEqual([]);
      expect(filesIn(node.bin)).toEqual({});
    }));

  it('takes nothing back without the word of a runtime', () =>
    onNode(async (node, gone, uninstall) => {
      expect(await uninstall()).toMatchObject(refused('lab/cni-'));
      expect(await owners(node)).toEqual([gone]);
    }));

  it('takes nothing back of a container that the runtime knows: its DEL comes', () =>
    onNode(async (node, gone, uninstall) => {
      expect(await uninstall([gone])).toMatchObject(refused('lab/cni-'));
      expect(await owners(node)).toEqual([gone]);
    }));

  it('takes nothing back of one that is no container of the runtime', () =>
    onNode(async (node, gone, uninstall) => {
      expect(await uninstall([])).toMatchObject(refused('lab/cni-'));
      expect(await owners(node)).toEqual([gone]);
    }, 'somebody-else'));

  it('takes nothing back of one that is being added, of which the runtime does not know yet', () =>
    onNode(async (node, _gone, uninstall) => {
      const [starting, pod] = await attach(node);
      expect(await uninstall([])).toMatchObject(refused(`lab/${pod.name}`));
      expect(await owners(node)).toEqual([starting]);
    }));

  it('takes nothing back while the runtime keeps the name of the namespace: what is mounted may not be seen', () =>
    onNode(async (node, _gone, uninstall) => {
      const [hidden, pod] = await attach(node);
      await node.lab.remove(pod);
      writeFileSync(pod.path, ''); // as a container sees it that mounts of the node do not reach
      await using _ = { [Symbol.asyncDispose]: async () => void (await node.lab.execute(['rm', pod.path])) };
      expect(await uninstall([])).toMatchObject(refused(`lab/${pod.name}`));
      expect(await owners(node)).toEqual([hidden]);
    }));
});
