import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Delegate, fromFiles, planDelegate } from './delegates.ts';
import { formatScratch, parseScratch, readScratch, removeScratch, restoreScratch, writeScratch } from './scratch.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'braid-scratch-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const SINGLE = { cniVersion: '1.0.0', name: 'cl', type: 'ptp', ipam: { type: 'host-local', subnet: '10.9.0.0/24' } };
const LIST = {
  cniVersion: '0.4.0',
  name: 'lst',
  plugins: [{ type: 'bridge', capabilities: { mac: true }, bridge: 'br0' }, { type: 'tuning' }],
};

const requested: Delegate = {
  ...planDelegate(LIST, ''),
  name: 'ns1/nad1',
  requests: {
    ifName: 'lan0',
    mac: '02:00:00:00:00:01',
    ips: ['10.1.0.9/24'],
    defaultRoute: ['10.1.0.1', 'fd00::1'],
    deviceId: '0000:01:00.1',
    resourceName: 'v.com/x',
  },
};

const SINGLE_BYTES =
  '{"cniVersion":"1.0.0","ipam":{"subnet":"10.9.0.0/24","type":"host-local"},"name":"cl","type":"ptp"}';
const LIST_BYTES =
  '{"cniVersion":"0.4.0","name":"lst","plugins":[{"bridge":"br0","capabilities":{"mac":true},"type":"bridge"},{"type":"tuning"}]}';
const base64 = (text: string): string => Buffer.from(text).toString('base64');

const GOLDEN = `[{"Conf":{"cniVersion":"1.0.0","ipam":{"type":"host-local"},"name":"cl","type":"ptp"},"ConfList":{},"Name":"cl","IsFilterV4Gateway":false,"IsFilterV6Gateway":false,"Bytes":"${base64(SINGLE_BYTES)}"},{"Conf":{"cniVersion":"0.4.0","ipam":{},"name":"lst"},"ConfList":{"cniVersion":"0.4.0","name":"lst","plugins":[{"capabilities":{"mac":true},"ipam":{},"type":"bridge"},{"ipam":{},"type":"tuning"}]},"Name":"ns1/nad1","ifnameRequest":"lan0","macRequest":"02:00:00:00:00:01","ipRequest":["10.1.0.9/24"],"default-route":["10.1.0.1","fd00::1"],"IsFilterV4Gateway":false,"IsFilterV6Gateway":false,"deviceID":"0000:01:00.1","resourceName":"v.com/x","Bytes":"${base64(LIST_BYTES)}"}]`;

describe('the scratch file', () => {
  it('has the bytes of the Go plugin', () => {
    expect(formatScratch([planDelegate(SINGLE, ''), requested])).toBe(GOLDEN);
  });

  it('has nothing in Conf of a list that was put together from files', () => {
    expect(formatScratch([fromFiles(planDelegate(LIST, ''))])).toMatch(
      /^\[{"Conf":{"ipam":{}},"ConfList":{"cniVersion"/,
    );
  });

  it('is read back for DEL: what to run, and the interface', () => {
    const [first, second] = parseScratch(Buffer.from(GOLDEN), '1.1.0');
    expect(first).toMatchObject({ name: 'cl', requests: {}, list: { name: 'cl', cniVersion: '1.0.0' } });
    expect(first?.list.plugins[0]?.document).toEqual(SINGLE);
    expect(second).toMatchObject({ name: 'ns1/nad1', requests: { ifName: 'lan0' }, list: { name: 'lst' } });
    expect(second?.list.plugins.map(({ type }) => type)).toEqual(['bridge', 'tuning']);
  });

  it.each(['', '{', 'null', '{}', '[]', '[null]', '[{}]', '[{"Bytes":"%%%"}]', `[{"Bytes":"${base64('[]')}"}]`])(
    'is corrupt when it reads %j',
    (content) => {
      expect(() => parseScratch(Buffer.from(content), '1.0.0')).toThrow();
    },
  );

  it('is written whole, for root only, and nothing else is left', () => {
    const cniDir = join(dir, 'deep/cni');
    writeScratch(cniDir, 'C1', [planDelegate(SINGLE, '')]);
    expect(statSync(cniDir).mode & 0o777).toBe(0o700);
    expect(statSync(join(cniDir, 'C1')).mode & 0o777).toBe(0o600);
    expect(readdirSync(cniDir)).toEqual(['C1']);
  });

  it('can be put back as it was', () => {
    expect(readScratch(dir, 'C1')).toBeUndefined();
    writeScratch(dir, 'C1', [planDelegate(SINGLE, '')]);
    const before = readScratch(dir, 'C1');
    writeScratch(dir, 'C1', [requested]);
    restoreScratch(dir, 'C1', before);
    expect(readScratch(dir, 'C1')).toEqual(before);
    restoreScratch(dir, 'C1', undefined);
    removeScratch(dir, 'C1');
    expect(readdirSync(dir)).toEqual([]);
  });
});
