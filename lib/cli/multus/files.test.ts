import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../sys/testing/temporary.ts';
import { bringFiles, restoreFiles, textSum, type WantedFiles } from './files.ts';
import { readConfRecord, recordIn, writeConfRecord } from './record.ts';

const sum = await textSum();

const files = (contents: Readonly<Record<string, string>>, more: Partial<WantedFiles> = {}): WantedFiles => ({
  files: Object.entries(contents).map(([name, content]) => ({ name, content })),
  unwanted: [],
  ...more,
});

/** Every file below, with its content. */
const all = (folder: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .sort()
      .map((name) => [
        name,
        statSync(join(folder, name)).isDirectory() ? '' : readFileSync(join(folder, name), 'utf8'),
      ]),
  );

const OURS = files({ 'multus.d/multus.token': 't1', '00-multus.conf': 'ours' }, { unwanted: ['00-multus.conflist'] });

describe('bringFiles', () => {
  it('writes what differs, once, and restoring leaves nothing', () => {
    using folder = temporaryFolder();
    expect(bringFiles(folder.path, OURS, sum)).toEqual(['multus.d/multus.token', '00-multus.conf']);
    expect(statSync(join(folder.path, '00-multus.conf')).mode & 0o777).toBe(0o600);
    const before = statSync(recordIn(folder.path), { bigint: true }).ctimeNs;
    expect(bringFiles(folder.path, OURS, sum)).toEqual([]);
    expect(statSync(recordIn(folder.path), { bigint: true }).ctimeNs).toBe(before);
    expect(restoreFiles(folder.path, sum)).toEqual({ 'multus.d/multus.token': 'removed', '00-multus.conf': 'removed' });
    expect(all(folder.path)).toEqual({});
    expect(restoreFiles(folder.path, sum)).toBeUndefined();
  });

  it('keeps files of others, of both forms, and puts them back', () => {
    using folder = temporaryFolder();
    mkdirSync(join(folder.path, 'multus.d'));
    writeFileSync(join(folder.path, 'multus.d/multus.kubeconfig'), 'theirs');
    writeFileSync(join(folder.path, '00-multus.conf'), 'theirs');
    writeFileSync(join(folder.path, '00-multus.conflist'), 'theirs too');
    const before = all(folder.path);
    const wanted = files({ 'multus.d/multus.kubeconfig': 'ours', '00-multus.conf': 'ours' }, OURS);
    bringFiles(folder.path, { ...wanted, files: [...wanted.files, { name: '00-multus.conf', content: 'ours' }] }, sum);
    expect(existsSync(join(folder.path, '00-multus.conflist'))).toBe(false);
    bringFiles(folder.path, files({ '00-multus.conf': 'ours, newer' }), sum);
    expect(readFileSync(join(folder.path, '00-multus.conf'), 'utf8')).toBe('ours, newer');
    expect(restoreFiles(folder.path, sum)).toMatchObject({
      '00-multus.conf': 'put back',
      '00-multus.conflist': 'put back',
    });
    expect(all(folder.path)).toEqual(before);
  });

  it('leaves what somebody else has written over ours since', () => {
    using folder = temporaryFolder();
    bringFiles(folder.path, OURS, sum);
    writeFileSync(join(folder.path, '00-multus.conf'), 'theirs');
    expect(restoreFiles(folder.path, sum)).toMatchObject({ '00-multus.conf': 'left' });
    expect(all(folder.path)).toEqual({ '00-multus.conf': 'theirs' });
  });

  it('gives a file of others another name, and its own back, unless it was written anew', () => {
    using folder = temporaryFolder();
    const [path, old] = [join(folder.path, '10-a.conf'), join(folder.path, '10-a.conf.old')];
    const wanted = { ...OURS, rename: { from: '10-a.conf', to: '10-a.conf.old' } };
    writeFileSync(path, 'a');
    expect(bringFiles(folder.path, wanted, sum)).toContain('10-a.conf');
    expect([existsSync(path), existsSync(old)]).toEqual([false, true]);
    expect(restoreFiles(folder.path, sum)).toMatchObject({ '10-a.conf': 'put back' });
    expect(all(folder.path)).toEqual({ '10-a.conf': 'a' });
    bringFiles(folder.path, wanted, sum);
    writeFileSync(path, 'b');
    expect(restoreFiles(folder.path, sum)).toMatchObject({ '10-a.conf': 'left' });
    expect(all(folder.path)).toEqual({ '10-a.conf': 'b', '10-a.conf.old': 'a' });
  });

  it('never writes an empty file', () => {
    using folder = temporaryFolder();
    expect(() => bringFiles(folder.path, files({ '00-multus.conf': '\n' }), sum)).toThrow('it would be empty');
    expect(all(folder.path)).toEqual({});
  });

  it('restores what an interrupted writing has left', () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, '00-multus.conf'), 'theirs');
    const own = { sha256: [sum('ours')], before: '00-multus.conf.before-braid' };
    writeConfRecord(folder.path, {
      files: { '00-multus.conf': own, 'multus.d/x': { sha256: [] } },
      renamed: {},
      folders: ['multus.d'],
    });
    expect(restoreFiles(folder.path, sum)).toEqual({ '00-multus.conf': 'left', 'multus.d/x': 'missing' });
    expect(all(folder.path)).toEqual({ '00-multus.conf': 'theirs' });
  });

  it.each(['{', '{}', '{"format":1,"files":{"../x":{"sha256":[]}},"renamed":{},"folders":[]}'])(
    'refuses the record %s',
    (text) => {
      using folder = temporaryFolder();
      writeFileSync(recordIn(folder.path), text);
      expect(() => readConfRecord(folder.path)).toThrow('move it away and reinstall');
      rmSync(recordIn(folder.path));
    },
  );
});
