import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../sys/testing/temporary.ts';
import { type Manifest, manifestIn, readManifest, writeManifest } from './manifest.ts';

const MANIFEST: Manifest = {
  version: '1.2.3',
  build: 'abc',
  form: 'script',
  files: { macvlan: { sha256: '00', before: 'macvlan.before-braid' }, braid: { sha256: '00' } },
};

describe('the manifest', () => {
  it('is read as it was written', () => {
    using folder = temporaryFolder();
    expect(readManifest(folder.path)).toBeUndefined();
    writeManifest(folder.path, MANIFEST);
    expect(readManifest(folder.path)).toEqual(MANIFEST);
  });

  const whole = { format: 1, ...MANIFEST };
  it.each([
    ['', 'Unexpected end of JSON input'],
    ['{"form', 'JSON'],
    ['null', 'its content is invalid'],
    [JSON.stringify({ ...whole, format: 2 }), 'format is invalid'],
    [JSON.stringify({ ...whole, files: undefined }), 'files is invalid'],
    [JSON.stringify({ ...whole, files: { macvlan: {} } }), 'files.macvlan.sha256 is invalid'],
    [
      JSON.stringify({ ...whole, files: { macvlan: { sha256: 'x', before: '../sh' } } }),
      'files.macvlan.before is invalid',
    ],
    [JSON.stringify({ ...whole, files: { '../../bin/sh': { sha256: 'x' } } }), 'files.../../bin/sh is invalid'],
    [JSON.stringify({ ...whole, files: { '..': { sha256: 'x' } } }), 'files... is invalid'],
  ])('is refused when it is %s', (text, message) => {
    using folder = temporaryFolder();
    writeFileSync(manifestIn(folder.path), text);
    expect(() => readManifest(folder.path)).toThrow(message);
    expect(() => readManifest(folder.path)).toThrow(
      new RegExp(`^cannot read "${manifestIn(folder.path)}": .*: move it away and reinstall$`),
    );
  });
});
