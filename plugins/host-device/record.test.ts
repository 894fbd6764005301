import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findDevice } from '../../lib/link/device.ts';
import { type DeviceRecord, nameOf, recordsIn } from './record.ts';
import { FakeNode } from './testing/fake-node.ts';

async function recordOf(node: FakeNode, more: Partial<DeviceRecord> = {}): Promise<DeviceRecord> {
  node.node.links = [{ name: 'ens1f0', altNames: ['é'] }];
  const device = await findDevice(node.node.netns.netlink, 'ens1f0');
  if (device === undefined) {
    throw new Error('no device');
  }
  const settings = { inetConf: Buffer.from([1, 2, 255, 0]), inet6Conf: Buffer.alloc(0) };
  const kept = { index: 3, addresses: [Buffer.from([2, 24])], routes: [Buffer.from([0]), Buffer.alloc(3)], rules: [] };
  const picture = { device: { ...device, ...settings }, master: 'br0', kept };
  const namespace = { boot: 'this boot', inode: '4:4', cookie: 12 };
  const whose = { network: 'n', containerId: 'c1', ifName: 'net1', netns: '/pod', namespace, incarnation: '77' };
  return { ...whose, restore: true, picture, ...more };
}

const write = (node: FakeNode, record: DeviceRecord): void => recordsIn(node.records).write(nameOf(record), record);

describe('the record of a device', () => {
  it('is read as it was written, bytes too', async () => {
    using node = new FakeNode();
    const record = await recordOf(node);
    write(node, record);
    expect(recordsIn(node.records).read('c1-net1')).toEqual({ format: 2, ...record });
    expect(statSync(join(node.records, 'c1-net1')).mode & 0o777).toBe(0o600);
    expect(readdirSync(node.records)).toEqual(['c1-net1']);
  });

  it('is one for each attachment', async () => {
    using node = new FakeNode();
    write(node, await recordOf(node));
    write(node, await recordOf(node, { ifName: 'net2' }));
    write(node, await recordOf(node, { containerId: 'c2' }));
    const records = recordsIn(node.records);
    records.remove('c1-net1');
    expect(records.list(() => undefined).map(({ name }) => name)).toEqual(['c1-net2', 'c2-net1']);
  });

  it('is undefined when missing', () => {
    using node = new FakeNode();
    const records = recordsIn(node.records);
    expect(records.read('c1-net1')).toBeUndefined();
    expect(records.list(() => undefined)).toEqual([]);
    expect(() => records.remove('c1-net1')).not.toThrow();
  });

  it.each([251, 256, 300])('is missing when its name would be too long: a container ID of %i characters', (length) => {
    using node = new FakeNode();
    const records = recordsIn(node.records);
    const name = nameOf({ containerId: 'c'.repeat(length), ifName: 'net1' });
    expect(records.read(name)).toBeUndefined();
    expect(() => records.remove(name)).not.toThrow();
  });

  it.each(['', '{', '[]', 'null', '{"format":1}', '{"format":2}'])(
    'that is %j is rejected, and does not hide others',
    async (text) => {
      using node = new FakeNode();
      write(node, await recordOf(node, { containerId: 'c2' }));
      mkdirSync(node.records, { recursive: true });
      writeFileSync(join(node.records, 'c1-net1'), text);
      writeFileSync(join(node.records, '.c3-net1.tmp'), '{');
      const records = recordsIn(node.records);
      expect(() => records.read('c1-net1')).toThrow('cannot read record');
      const lines: string[] = [];
      const all = records.list((line) => lines.push(line));
      expect([all.length, lines.length]).toEqual([1, 1]);
    },
  );
});
