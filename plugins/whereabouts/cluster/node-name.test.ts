import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import { nodeNameOf } from './node-name.ts';

describe('nodeNameOf', () => {
  const folder = temporaryFolder();
  const [file, hostName] = [join(folder.path, 'nodename'), join(folder.path, 'hostname')];

  afterAll(() => folder[Symbol.dispose]());
  beforeEach(() => {
    writeFileSync(file, 'from-file');
    writeFileSync(hostName, 'from-host\n');
  });

  const nameOf = (env: string, from = folder.path) => nodeNameOf({ env, folder: from }, hostName);

  it.each([
    ['of the environment first', 'from-env', folder.path, 'from-env'],
    ['of the environment without blanks', ' w-7.example.net \n', folder.path, 'w-7.example.net'],
    ['of the file of the installer next', '', folder.path, 'from-file'],
    ['of the host where no folder is named', '', '', 'from-host'],
    ['of the host where the file is missing', '', join(folder.path, 'none'), 'from-host'],
    ['of the host where a file is named instead of a folder', '', hostName, 'from-host'],
  ])('is that %s', (_, env, from, expected) => {
    expect(nameOf(env, from)).toBe(expected);
  });

  it.each([
    ['the first 1,024 bytes', `${'a'.repeat(253)}${' '.repeat(771)}b`, 'a'.repeat(253)],
    ['no blanks', '\n\t w-1 \n', 'w-1'],
    ['nothing', ' \n', 'from-host'],
  ])('reads %s of a file', (_, text, expected) => {
    writeFileSync(file, text);
    expect(nameOf('')).toBe(expected);
  });

  it.each([
    ['W-1', 'NODENAME of the environment says "W-1", which is not a lower case RFC 1123 name'],
    ['a b', 'NODENAME of the environment says "a b"'],
  ])('refuses "%s", and takes no other instead', (env, why) => {
    expect(() => nameOf(env)).toThrow(`cannot tell the name of this node, which has slices by its name: ${why}`);
  });

  it('says where it looked when there is none', () => {
    writeFileSync(hostName, '');
    expect(() => nameOf('', join(folder.path, 'none'))).toThrow(
      `NODENAME of the environment, "${folder.path}/none/nodename", "${hostName}" are empty or missing`,
    );
  });

  it('does not take a file for missing that cannot be read', () => {
    const other = join(folder.path, 'other');
    mkdirSync(join(other, 'nodename'), { recursive: true });
    expect(() => nameOf('', other)).toThrow(`cannot read "${other}/nodename": EISDIR`);
  });
});
