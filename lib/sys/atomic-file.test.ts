import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeFolder, removeWritten, writeAtomically } from './atomic-file.ts';
import { temporaryFolder } from './testing/temporary.ts';

describe('writeAtomically', () => {
  it('replaces the content and leaves nothing else', () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'file');
    writeAtomically(path, 'one');
    writeAtomically(path, Buffer.from('two'), { sync: false });
    expect(readFileSync(path, 'utf8')).toBe('two');
    expect(readdirSync(folder.path)).toEqual(['file']);
  });

  it('gives the mode that is asked for, 0600 when none is', () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'file');
    writeAtomically(path, '');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    writeAtomically(path, '', { mode: 0o666 });
    expect(statSync(path).mode & 0o777).toBe(0o666);
  });

  it('keeps the previous content where it is told', () => {
    using folder = temporaryFolder();
    const [path, previous] = [join(folder.path, 'file'), join(folder.path, 'file.1')];
    writeAtomically(path, 'one', { previous });
    expect(existsSync(previous)).toBe(false);
    writeAtomically(path, 'two', { previous });
    expect(readFileSync(previous, 'utf8')).toBe('one');
    expect(readFileSync(path, 'utf8')).toBe('two');
  });

  it('takes over a temporary file that a crash has left', () => {
    using folder = temporaryFolder();
    const [path, temporary] = [join(folder.path, 'file'), join(folder.path, 'file.tmp')];
    writeFileSync(temporary, 'half of something that is longer');
    writeAtomically(path, 'whole', { temporary });
    expect(readFileSync(path, 'utf8')).toBe('whole');
    expect(readdirSync(folder.path)).toEqual(['file']);
  });

  it('changes nothing and names the path when it fails', () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'file');
    mkdirSync(path);
    expect(() => writeAtomically(path, 'x')).toThrow(
      expect.objectContaining({
        code: 5,
        message: `cannot write "${path}": EISDIR (illegal operation on a directory)`,
      }),
    );
    expect(readdirSync(folder.path)).toEqual(['file']);
  });
});

describe('removeWritten', () => {
  it('removes a file and what a crash left of its writing; neither needs to be there', () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, 'file'), '');
    writeFileSync(join(folder.path, '.file.tmp'), '');
    removeWritten(join(folder.path, 'file'));
    removeWritten(join(folder.path, 'file'));
    expect(readdirSync(folder.path)).toEqual([]);
  });

  it.each([251, 255, 256])('removes a file that others wrote under a name of %i bytes, if it can be', (length) => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'x'.repeat(length));
    if (length <= 255) {
      writeFileSync(path, '');
    }
    removeWritten(path);
    expect(readdirSync(folder.path)).toEqual([]);
  });

  it('does not take what it cannot remove for removed', () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, 'file'), '');
    expect(() => removeWritten(folder.path)).toThrow(/EISDIR|EPERM/);
    expect(() => removeWritten(join(folder.path, 'file/below'))).toThrow('ENOTDIR');
  });
});

describe('makeFolder', () => {
  it('makes all that are missing and is content with what is there', () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'a', 'b', 'c');
    makeFolder(path);
    makeFolder(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  it.each(['/proc/x/y', '/proc/999999/fd/1', '/proc/self/fdinfo/x'])(
    'fails on %s, where nobody can make one',
    (path) => {
      expect(() => makeFolder(path, { sync: false })).toThrow(/^cannot create folder "\/proc\/.*": ENOENT /);
    },
  );

  it('names the folder and the kernel text when it fails', () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, 'file'), '');
    const path = join(folder.path, 'file', 'below');
    expect(() => makeFolder(path)).toThrow(
      expect.objectContaining({ code: 5, message: `cannot create folder "${path}": ENOTDIR (not a directory)` }),
    );
  });
});
