import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type JsonObject, parseJson } from './json.ts';
import {
  type CachedAttachment,
  editCachedResult,
  listCached,
  readCached,
  removeCached,
  writeCached,
} from './result-cache.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'braid-result-cache-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const attachment = (more: Partial<CachedAttachment> = {}): CachedAttachment => ({
  network: 'lan',
  containerId: 'C1',
  ifName: 'net1',
  netns: '/run/netns/n1',
  config: Buffer.from('{"type":"alpha"}'),
  args: [['K', 'v']],
  capabilityArgs: { mac: '02:00:00:00:00:01' },
  result: { cniVersion: '1.0.0' },
  ...more,
});

const write = (name: string, content: string): void => {
  mkdirSync(join(dir, 'results'), { recursive: true });
  writeFileSync(join(dir, 'results', name), content);
};

describe('the result cache', () => {
  it('gives back what was written, in files for root only', () => {
    writeCached(dir, attachment());
    expect(readCached(dir, attachment())).toEqual(attachment());
    expect(statSync(join(dir, 'results')).mode & 0o777).toBe(0o700);
    expect(statSync(join(dir, 'results/lan-C1-net1')).mode & 0o777).toBe(0o600);
    removeCached(dir, attachment());
    removeCached(dir, attachment());
    expect(readCached(dir, attachment())).toBeUndefined();
  });

  it('leaves out what is empty', () => {
    const bare = attachment({ netns: '', args: [], capabilityArgs: {}, result: undefined });
    writeCached(dir, bare);
    expect(readCached(dir, bare)).toEqual(bare);
  });

  it('reads the old form, a bare result', () => {
    write('lan-C1-net1', '{"cniVersion":"0.3.1","ips":[]}');
    expect(readCached(dir, attachment())?.result).toEqual({ cniVersion: '0.3.1', ips: [] });
    expect(listCached(dir).faults.length).toBe(1);
  });

  it('lists the attachments of a container by what the files say, the first added first', () => {
    writeCached(dir, attachment({ network: 'x-C1-y', containerId: 'C2', ifName: 'eth0' }));
    writeCached(dir, attachment({ network: 'b', ifName: 'net1' }));
    writeCached(dir, attachment({ network: 'a', ifName: 'net2' }));
    utimesSync(join(dir, 'results/b-C1-net1'), 1, 1);
    write('.lan-C1-net1.1-1', '{}');
    const { attachments, faults } = listCached(dir, 'C1');
    expect(attachments.map(({ network }) => network)).toEqual(['b', 'a']);
    expect(faults).toEqual([]);
  });

  it('passes over files that it cannot read, and says so', () => {
    writeCached(dir, attachment());
    write('lan-C1-net2', '{');
    write('lan-C1-net3', '{"kind":"cniCacheV9"}');
    const { attachments, faults } = listCached(dir, 'C1');
    expect(attachments.length).toBe(1);
    const [broken, other] = faults;
    expect(broken).toMatchObject({ name: 'lan-C1-net2', file: `${dir}/results/lan-C1-net2`, isDamaged: true });
    expect(broken?.why.message).toContain(`cannot read the cached result "${dir}/results/lan-C1-net2"`);
    expect(other).toMatchObject({ name: 'lan-C1-net3', isDamaged: false });
    expect(other?.why.message).toContain('its kind is not cniCacheV1');
  });

  it('is empty when there is no folder', () => {
    expect(listCached(join(dir, 'nowhere'))).toEqual({ attachments: [], faults: [] });
  });

  it('takes a file that it cannot read for none that is missing', () => {
    write('lan-C1-net1', '');
    rmSync(join(dir, 'results/lan-C1-net1'));
    symlinkSync('/proc/self/mem', join(dir, 'results/lan-C1-net1'));
    expect(() => readCached(dir, attachment())).toThrow(
      expect.objectContaining({ code: 5, message: expect.stringContaining('EIO') }),
    );
    expect(listCached(dir).faults).toMatchObject([{ isDamaged: false, why: { code: 5 } }]);
  });

  it('takes a folder that it cannot read for none that is empty', () => {
    symlinkSync('results', join(dir, 'results'));
    expect(() => listCached(dir)).toThrow(
      expect.objectContaining({ code: 5, message: expect.stringContaining('ELOOP') }),
    );
    expect(() => readCached(dir, attachment())).toThrow(/ELOOP/);
  });

  it('takes a name that no file can have for a file that is missing', () => {
    const key = { network: 'lan', containerId: 'c'.repeat(250), ifName: 'net1' };
    expect(readCached(dir, key)).toBeUndefined();
    expect(() => removeCached(dir, key)).not.toThrow();
  });

  it('records nothing that it could not read again', () => {
    const result = parseJson(`${'{"a":'.repeat(9999)}1${'}'.repeat(9999)}`) as JsonObject;
    writeCached(dir, attachment({ result }));
    expect(readCached(dir, attachment())?.result).toBeDefined();
    expect(() => writeCached(dir, attachment({ result: { a: result } }))).toThrow(expect.objectContaining({ code: 6 }));
  });

  it('changes a result, and keeps the rest of the record, with sorted keys', () => {
    write(
      'lan-C1-net1',
      '{"kind":"cniCacheV1","ifName":"net1","x":{"b":1,"a":[]},"result":{"ips":[],"cniVersion":"1.0.0"}}',
    );
    editCachedResult(dir, attachment(), (result) => ({ ...result, dns: {} }));
    expect(readFileSync(join(dir, 'results/lan-C1-net1'), 'utf8')).toBe(
      '{"ifName":"net1","kind":"cniCacheV1","result":{"cniVersion":"1.0.0","dns":{},"ips":[]},"x":{"a":[],"b":1}}',
    );
  });

  it('changes no result where there is none', () => {
    const edit = () => editCachedResult(dir, attachment(), (result) => result);
    expect(edit).toThrow(`cannot change the cached result "${dir}/results/lan-C1-net1": it is missing`);
    writeCached(dir, attachment({ result: undefined }));
    expect(edit).toThrow('it has no result');
    write('lan-C1-net1', '[]');
    expect(edit).toThrow(`cannot read the cached result "${dir}/results/lan-C1-net1": it is not a JSON object`);
  });
});
