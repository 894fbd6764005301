import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Delegate, fromFiles, planDelegate } from './delegates.ts';
import type { PodRecord } from './pod-record.ts';
import { restoreScratch, scratchesIn, scratchNames, unfinishedNames } from './scratch.ts';
import { formatScratch, parseScratch } from './scratch-form.ts';

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

const POD: PodRecord = {
  netns: '/run/netns/p1',
  namespace: { boot: 'b1', inode: '4:4026532246', cookie: 7 },
  ifName: 'eth0',
  args: 'IgnoreUnknown=1;K8S_POD_NAME=one',
};

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
    const { delegates, pod } = parseScratch(GOLDEN, '1.1.0');
    const [first, second] = delegates;
    expect(pod).toBeUndefined();
    expect(first).toMatchObject({ name: 'cl', requests: {}, list: { name: 'cl', cniVersion: '1.0.0' } });
    expect(first?.list.plugins[0]?.document).toEqual(SINGLE);
    expect(second).toMatchObject({ name: 'ns1/nad1', requests: { ifName: 'lan0' }, list: { name: 'lst' } });
    expect(second?.list.plugins.map(({ type }) => type)).toEqual(['bridge', 'tuning']);
  });

  it.each(['', '{', 'null', '{}', '[]', '[null]', '[{}]', '[{"Bytes":"%%%"}]', `[{"Bytes":"${base64('[]')}"}]`])(
    'is corrupt when it reads %j',
    (content) => {
      expect(() => parseScratch(content, '1.0.0')).toThrow();
    },
  );

  it('says in a key of its own where the pod is and what ADD was called with', () => {
    const text = formatScratch([planDelegate(SINGLE, ''), requested], POD);
    const own = `,"braid":${JSON.stringify(POD)}`;
    expect(text.replace(own, '')).toBe(GOLDEN);
    expect(parseScratch(text, '1.1.0').pod).toEqual(POD);
    for (const broken of ['7', '{}', '{"netns":"/run/netns/p1"}', 'null']) {
      const content = text.replace(own, `,"braid":${broken}`);
      expect(parseScratch(content, '1.1.0')).toMatchObject({ delegates: [{ name: 'cl' }, {}], pod: undefined });
    }
  });

  it('that a killed call was about to write is told from others', () => {
    for (const name of ['C1', '.C2.tmp', '.C2.lock', '.tmp', '..tmp', 'C3.tmp']) {
      writeFileSync(join(dir, name), '');
    }
    expect(unfinishedNames(dir)).toEqual(['C2']);
    expect(scratchNames(dir).toSorted()).toEqual(['C1', 'C3.tmp']);
  });

  it('is written whole, for root only, and nothing else is left', () => {
    const cniDir = join(dir, 'deep/cni');
    scratchesIn(cniDir).write('C1', formatScratch([planDelegate(SINGLE, '')], POD));
    expect(statSync(cniDir).mode & 0o777).toBe(0o700);
    expect(statSync(join(cniDir, 'C1')).mode & 0o777).toBe(0o600);
    expect(readdirSync(cniDir)).toEqual(['C1']);
  });

  it('can be put back as it was', () => {
    const scratches = scratchesIn(dir);
    expect(scratches.read('C1')).toBeUndefined();
    scratches.write('C1', formatScratch([planDelegate(SINGLE, '')], POD));
    const before = scratches.read('C1');
    scratches.write('C1', formatScratch([requested], POD));
    restoreScratch(dir, 'C1', before);
    expect(scratches.read('C1')).toEqual(before);
    restoreScratch(dir, 'C1', undefined);
    scratches.remove('C1');
    expect(readdirSync(dir)).toEqual([]);
  });
});
