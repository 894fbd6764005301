import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { tarOf } from './tar.ts';

describe('tarOf', () => {
  it('is read by tar, with the folders of its files, whatever their order', () => {
    const entries = [
      { path: 'usr/bin/x', mode: 0o755, content: Buffer.from('program') },
      { path: 'a', mode: 0o644, content: Buffer.alloc(512, 'a') },
      { path: 'tmp', mode: 0o1777 },
      { path: 'usr/y', mode: 0o777, content: Buffer.from(''), link: 'bin/x' },
    ];
    const archive = tarOf(entries);
    expect(tarOf(entries.toReversed()).equals(archive)).toBe(true);
    const list = execFileSync('tar', ['--utc', '--numeric-owner', '-tvf', '-'], { input: archive, encoding: 'utf8' });
    expect(
      list
        .trim()
        .split('\n')
        .map((line) => line.replace(/ +/g, ' ')),
    ).toEqual([
      '-rw-r--r-- 0/0 512 1970-01-01 00:00 a',
      'drwxrwxrwt 0/0 0 1970-01-01 00:00 tmp/',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 usr/',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 usr/bin/',
      '-rwxr-xr-x 0/0 7 1970-01-01 00:00 usr/bin/x',
      'lrwxrwxrwx 0/0 0 1970-01-01 00:00 usr/y -> bin/x',
    ]);
    const content = execFileSync('tar', ['-xOf', '-', 'usr/bin/x'], { input: archive, encoding: 'utf8' });
    expect(content).toBe('program');
  });

  it('refuses a path that its header has no room for', () => {
    expect(() => tarOf([{ path: 'x'.repeat(101), mode: 0o644, content: Buffer.alloc(0) }])).toThrow('more than 100');
  });
});
