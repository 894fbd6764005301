import { mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { PodCall } from '../../lib/cni/call.ts';
import { readConf } from '../../lib/cni/config.ts';
import { Undo } from '../../lib/cni/undo.ts';
import { claimDevice } from './claim.ts';
import { HostDeviceConf } from './config.ts';
import { recordsIn } from './record.ts';
import { resolveSelector } from './select.ts';
import { refuseTakenName, takeDevice } from './take.ts';
import { FakeNode } from './testing/fake-node.ts';

const LOOPBACK = 8;

async function take(node: FakeNode, device = 'ens1f0') {
  const { scope } = node;
  const conf = readConf(HostDeviceConf, { device, dataDir: node.records });
  const call = { conf, network: 'n', containerId: 'c1', ifName: 'net1', netnsPath: '/pod' } as PodCall<HostDeviceConf>;
  const [netns, records] = [node.pod.netns, recordsIn(node.records)];
  await refuseTakenName(call, netns);
  using claimed = await claimDevice(scope, resolveSelector(conf, scope.node.sysfs), records, call.ifName);
  return await takeDevice(call, scope, claimed.device, { netns, records, undo: new Undo(scope) });
}

const recorded = (node: FakeNode): readonly string[] =>
  recordsIn(node.records)
    .list(() => undefined)
    .map(({ record }) => record.picture.device.name);

describe('taking a device', () => {
  it('records its state before moving it', async () => {
    using node = new FakeNode();
    node.node.links = [{ name: 'ens1f0', alias: 'uplink' }];
    let then: readonly string[] = [];
    node.onMove = () => {
      then = recorded(node);
    };
    const { device, record } = await take(node);
    expect(then).toEqual(['ens1f0']);
    expect(device.name).toBe('net1');
    expect(record).toMatchObject({ netns: '/pod', picture: { device: { name: 'ens1f0', alias: 'uplink' } } });
  });

  it('leaves its alternative names on the node', async () => {
    using node = new FakeNode();
    node.node.links = [{ name: 'ens1f0', altNames: ['net1', 'other', 'enp1s0f0'] }];
    await take(node);
    const names = 'take the alternative names from link "ens1f0"';
    expect(node.events.filter((line) => line.startsWith('take the alternative'))).toEqual([names]);
  });

  it.each([
    { what: 'the name is taken', links: [{ name: 'net1' }], node: [{ name: 'ens1f0' }], says: 'already exists' },
    { what: 'it is not here', links: [], node: [], says: '"device" "ens1f0": no such interface' },
    { what: 'it is loopback', links: [], node: [{ name: 'ens1f0', flags: LOOPBACK }], says: 'its own loopback' },
  ])('does nothing when $what', async ({ links, node: here, says }) => {
    using node = new FakeNode();
    node.node.links = here;
    node.pod.links = links;
    await expect(take(node)).rejects.toThrow(says);
    expect(node.events).toEqual([]);
    expect(() => readdirSync(node.records)).toThrow('ENOENT');
  });

  it('restores a device with a record, whether or not the pod of the record lives', async () => {
    using node = new FakeNode();
    node.node.links = [{ name: 'ens1f0', altNames: ['enp1s0f0'] }];
    await take(node);
    node.node.links = [{ name: 'ens1f0' }]; // the Go plugin has moved it back
    node.pod.links = [];
    node.events.length = 0;
    const { record } = await take(node);
    expect(node.events[0]).toBe('give link "ens1f0" the alternative name "enp1s0f0"');
    expect(recorded(node)).toEqual([record.picture.device.name]);
  });

  it.each<[string, (node: FakeNode) => void]>([
    [
      'a boot',
      (node) => {
        node.bootId = 'the next one';
      },
    ],
    [
      'it was recreated',
      (node) => {
        const folder = join(node.scope.node.sysfs, 'bus/pci/devices/0000:65:02.3');
        renameSync(folder, `${folder}.old`);
        mkdirSync(folder);
      },
    ],
  ])('does not apply a record from before %s', async (_, happens) => {
    using node = new FakeNode();
    mkdirSync(join(node.scope.node.sysfs, 'bus/pci/devices/0000:65:02.3'), { recursive: true });
    node.node.links = [{ name: 'ens1f0', altNames: ['enp1s0f0'] }];
    await take(node);
    happens(node);
    node.node.links = [{ name: 'ens1f0' }]; // as the administrator has it today
    node.pod.links = [];
    node.events.length = 0;
    await take(node);
    expect(node.events.filter((line) => line.startsWith('give link'))).toEqual([]);
    expect(node.events[0]).toBe(
      'device "ens1f0" is left as it is: its record is stale, from before a reboot or another device at this place',
    );
    expect(recordsIn(node.records).read('c1-net1')?.picture.device.altNames).toEqual([]);
  });

  it('renames back a device of the Go plugin whose pod has died', async () => {
    using node = new FakeNode();
    node.node.links = [{ name: 'net1', alias: 'ens1f0' }];
    await take(node, 'net1');
    expect(node.events.slice(0, 2)).toEqual([
      'set the name "ens1f0" of link "net1"',
      'set the alias "" of link "ens1f0"',
    ]);
  });

  it.each([
    { what: 'is user text', name: 'net1', alias: 'to the spine' },
    { what: 'is an interface name but the device has its own', name: 'ens1f7', alias: 'ens1f0' },
  ])('leaves an alias alone that $what', async ({ name, alias }) => {
    using node = new FakeNode();
    node.node.links = [{ name, alias }];
    await take(node, name);
    expect(node.events.filter((line) => line.startsWith('set the'))).toEqual([]);
  });
});
