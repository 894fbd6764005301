import { describe, expect, it } from 'vitest';
import { type DeviceFacts, findDevice } from '../../lib/link/device.ts';
import { takePicture } from '../../lib/link/picture.ts';
import { bringHome, findHome, findInPod } from './home.ts';
import type { DeviceRecord } from './record.ts';
import { type FakeLink, FakeNode } from './testing/fake-node.ts';

const OTHER = { index: 9, parentDev: '0000:65:02.4' };
const VIRTUAL = { kind: 'veth' };

/** The record of ens1f0, which has left the node. */
async function recordOf(node: FakeNode, link: Partial<FakeLink> = {}): Promise<DeviceRecord> {
  const before = node.node.links;
  node.node.links = [{ name: 'ens1f0', ...link }];
  const picture = await takePicture(
    node.node.netns,
    (await findDevice(node.node.netns.netlink, 'ens1f0')) as DeviceFacts,
  );
  node.node.links = before;
  const namespace = { boot: 'this boot', inode: '4:4' };
  const whose = { network: 'n', containerId: 'c1', ifName: 'net1', netns: '/pod', namespace, incarnation: '' };
  return { ...whose, restore: true, picture };
}

describe('the device in the pod', () => {
  it.each<{ what: string; links: readonly FakeLink[]; found: string | undefined }>([
    { what: 'has the name', links: [{ name: 'net1', alias: 'ens1f0' }], found: 'net1' },
    { what: 'has lost its alias', links: [{ name: 'net1' }], found: 'net1' },
    { what: 'was renamed', links: [{ name: 'lan', alias: 'ens1f0' }], found: 'lan' },
    { what: 'was renamed and has lost its alias', links: [{ name: 'lan' }], found: 'lan' },
    {
      what: 'was renamed, and another has the name',
      links: [{ ...OTHER, name: 'net1' }, { name: 'lan' }],
      found: 'lan',
    },
    {
      what: 'is identified by its bus address before its alias',
      links: [
        { ...OTHER, name: 'a0', alias: 'ens1f0' },
        { name: 'lan', alias: 'x' },
      ],
      found: 'lan',
    },
    { what: 'has another address', links: [{ name: 'lan', mac: '02:00:00:00:00:99' }], found: 'lan' },
    { what: 'is not there', links: [{ ...OTHER, name: 'net1' }], found: undefined },
    {
      what: 'is not there, and lo is',
      links: [{ name: 'lo', parentDev: '', mac: '00:00:00:00:00:00' }],
      found: undefined,
    },
  ])('$what', async ({ links, found }) => {
    using node = new FakeNode();
    node.pod.links = links;
    expect((await findInPod(node.pod.netns, await recordOf(node)))?.name).toBe(found);
  });

  it('is identified by kind and address when it is virtual', async () => {
    using node = new FakeNode();
    const record = await recordOf(node, VIRTUAL);
    node.pod.links = [{ ...VIRTUAL, name: 'lan', mac: '02:00:00:00:00:99' }];
    expect(await findInPod(node.pod.netns, record)).toBeUndefined();
    node.pod.links = [{ ...VIRTUAL, name: 'lan' }];
    expect((await findInPod(node.pod.netns, record))?.name).toBe('lan');
  });
});

describe('the device on the node', () => {
  it.each(['ens1f0', 'net1', 'dev17'])('is found as %s', async (name) => {
    using node = new FakeNode();
    node.node.links = [{ ...OTHER, name: 'ens1f1' }, { name }];
    expect((await findHome(node.scope, await recordOf(node)))?.name).toBe(name);
  });

  it('is not another device with its name', async () => {
    using node = new FakeNode();
    node.node.links = [{ ...OTHER, name: 'ens1f0' }];
    expect(await findHome(node.scope, await recordOf(node))).toBeUndefined();
  });
});

describe('moving it back', () => {
  it('is done for a missing virtual device, but not for hardware, which the kernel may still return', async () => {
    using node = new FakeNode();
    expect(await bringHome(node.scope, await recordOf(node, VIRTUAL), undefined)).toBe(true);
    expect(await bringHome(node.scope, await recordOf(node), node.pod.netns)).toBe(false);
  });

  it('renames back one that the kernel returned', async () => {
    using node = new FakeNode();
    node.node.links = [{ name: 'net1', alias: 'ens1f0' }];
    expect(await bringHome(node.scope, await recordOf(node), undefined)).toBe(true);
    expect(node.events).toEqual(
      expect.arrayContaining(['set the name "ens1f0" of link "net1"', 'set the alias "" of link "ens1f0"']),
    );
  });

  it('does not rename it to the name of another link', async () => {
    using node = new FakeNode();
    node.node.links = [
      { name: 'net1', alias: 'ens1f0' },
      { ...OTHER, name: 'ens1f0' },
    ];
    await expect(bringHome(node.scope, await recordOf(node), undefined)).rejects.toThrow(
      'cannot rename link "net1" back to "ens1f0": link "ens1f0" has that name',
    );
  });

  it('leaves it in the pod, up, when its name is taken on the node', async () => {
    using node = new FakeNode();
    node.pod.links = [{ name: 'net1', alias: 'ens1f0', flags: 1 }];
    node.node.links = [{ ...OTHER, name: 'ens1f0' }];
    await expect(bringHome(node.scope, await recordOf(node), node.pod.netns)).rejects.toThrow('EEXIST');
    expect(node.events).toEqual(['set link "net1" up']);
  });
});
