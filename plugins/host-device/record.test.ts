import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findDevice } from '../../lib/link/device.ts';
import { type DeviceRecord, listRecords, readRecord, removeRecord, writeRecord } from './record.ts';
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
  return { network: 'n', containerId: 'c1', ifName: 'net1', netns: '/pod', restore: true, picture, ...more };
}

describe('the record of a device', () => {
  it('is read as it was written, bytes too', async () => {
    using node = new FakeNode();
    const record = await recordOf(node);
    writeRecord(node.records, record);
    expect(readRecord(node.records, record)).toEqual({ format: 1, ...record });
    expect(statSync(join(node.records, 'c1-net1')).mode & 0o777).toBe(0o600);
    expect(readdirSync(node.records)).toEqual(['c1-net1']);
  });

  it('is one for each attachment', async () => {
    using node = new FakeNode();
    writeRecord(node.records, await recordOf(node));
    writeRecord(node.records, await recordOf(node, { ifName: 'net2' }));
    writeRecord(node.records, await recordOf(node, { containerId: 'c2' }));
    removeRecord(node.records, { containerId: 'c1', ifName: 'net1' });
    const names = listRecords(node.records, () => undefined).map(({ containerId, ifName }) => [containerId, ifName]);
    expect(names).toEqual([
      ['c1', 'net2'],
      ['c2', 'net1'],
    ]);
  });

  it('may be missing', () => {
    using node = new FakeNode();
    const key = { containerId: 'c1', ifName: 'net1' };
    expect(readRecord(node.records, key)).toBeUndefined();
    expect(listRecords(node.records, () => undefined)).toEqual([]);
    expect(() => removeRecord(node.records, key)).not.toThrow();
  });

  it.each(['', '{', '[]', 'null', '{"format":2}'])('that is %j cannot be used, and hides no other', async (text) => {
    using node = new FakeNode();
    writeRecord(node.records, await recordOf(node, { containerId: 'c2' }));
    mkdirSync(node.records, { recursive: true });
    writeFileSync(join(node.records, 'c1-net1'), text);
    writeFileSync(join(node.records, '.c3-net1.tmp'), '{');
    expect(() => readRecord(node.records, { containerId: 'c1', ifName: 'net1' })).toThrow('cannot read record');
    const lines: string[] = [];
    const all = listRecords(node.records, (line) => lines.push(line));
    expect([all.length, lines.length]).toEqual([1, 1]);
  });
});
