import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Mac } from '../../lib/net/mac.ts';
import { temporaryFolder } from '../../lib/sys/testing/temporary.ts';
import { formatRecord, nameOf, parseRecord, readRecord, recordsIn } from './record.ts';

const BEFORE = {
  mac: '02:00:00:00:00:01' as Mac,
  isPromiscuous: false,
  mtu: 1500,
  isAllMulticast: true,
  txQueueLength: 0,
};
const OWNER = {
  network: 'n',
  containerId: 'c1',
  ifName: 'net1',
  netns: '/run/netns/a',
  namespace: { boot: 'b', inode: '4:5', cookie: 6 },
  link: 7,
};

describe('a record', () => {
  it('is written as Go writes it', () => {
    expect(formatRecord({ before: BEFORE, owner: undefined })).toBe(
      '{\n "mac": "02:00:00:00:00:01",\n "promisc": false,\n "mtu": 1500,\n "allmulti": true,\n "txQLen": 0\n}',
    );
    expect(formatRecord({ before: {}, owner: undefined })).toBe('{}');
    expect(nameOf(OWNER)).toBe('c1_net1.json');
  });

  it.each([
    [{ before: BEFORE, owner: OWNER }],
    [{ before: BEFORE, owner: undefined }],
    [{ before: { mtu: 1500 }, owner: { ...OWNER, namespace: { boot: 'b', inode: '4:5' } } }],
    [{ before: {}, owner: undefined }],
  ])('is read as it was written', (record) => {
    expect(parseRecord(formatRecord(record))).toEqual(record);
  });

  it('of Go is read, whatever is null in it', () => {
    expect(parseRecord('{"mac":"","promisc":null,"mtu":0,"allmulti":null,"txQLen":null,"more":1}')).toEqual({
      before: {},
      owner: undefined,
    });
  });

  it('that is damaged says nothing, and one that is not there is missing', () => {
    using folder = temporaryFolder();
    const records = recordsIn(folder.path);
    const log: string[] = [];
    const read = () => readRecord(records, OWNER, (line) => log.push(line));
    expect(read()).toBeUndefined();
    for (const text of ['', '{"mtu":1', '[]', 'null', '{"mtu":"x"}', '{"braid":{}}']) {
      writeFileSync(join(folder.path, 'c1_net1.json'), text);
      expect(read()).toEqual({ before: {}, owner: undefined });
    }
    expect(log).toHaveLength(6);
    expect(log[0]).toContain('cannot read record');
  });
});
