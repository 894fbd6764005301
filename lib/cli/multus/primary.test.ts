import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../sys/testing/temporary.ts';
import { findPrimary } from './primary.ts';

const conf = (name: string) => JSON.stringify({ cniVersion: '1.0.0', name, plugins: [{ type: 'bridge' }] });

function folderWith(files: Readonly<Record<string, string>>) {
  const folder = temporaryFolder();
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder.path, name), text);
  }
  return folder;
}

describe('findPrimary', () => {
  it('takes the first one that a runtime would read, and never one that runs multus', () => {
    using folder = folderWith({
      '00-multus.conf': conf('ours'),
      '00-multus.conf.before-braid': conf('kept'),
      '01-old.conf.cilium_bak': conf('bak'),
      '05-multus.conf': JSON.stringify({ cniVersion: '0.4.0', name: 'a', type: 'multus', delegates: [] }),
      '10-a.conflist': conf('a'),
      '09-b.json': conf('b'),
    });
    expect(findPrimary(folder.path, undefined, [])).toMatchObject({ state: 'found', name: '09-b.json' });
    expect(findPrimary(folder.path, '10-a.conflist', [])).toMatchObject({ state: 'found', name: '10-a.conflist' });
    expect(findPrimary(folder.path, '05-multus.conf', [])).toMatchObject({
      state: 'missing',
      why: expect.stringContaining('it runs multus itself'),
    });
  });

  it.each(['', '{', '[]', '{"name":"a"}', '{"name":"a","plugins":[]}'])(
    'waits for the first one while it is %j',
    (text) => {
      using folder = folderWith({ '05-a.conf': text, '10-b.conflist': conf('b') });
      expect(findPrimary(folder.path, undefined, [])).toMatchObject({ state: 'unreadable', name: '05-a.conf' });
    },
  );

  it('falls back to the one that it has renamed last', () => {
    using folder = folderWith({ '10-a.conf.old': conf('a'), '20-b.conf.old': conf('b') });
    const renamed = ['10-a.conf.old', '20-b.conf.old'];
    expect(findPrimary(folder.path, undefined, renamed)).toMatchObject({ state: 'found', name: '20-b.conf.old' });
    expect(findPrimary(folder.path, undefined, [])).toMatchObject({ state: 'missing' });
    expect(findPrimary(`${folder.path}/absent`, undefined, [])).toMatchObject({ state: 'missing' });
  });
});
