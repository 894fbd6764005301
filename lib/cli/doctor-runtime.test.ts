import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../sys/testing/temporary.ts';
import { isRuntimeConfigured } from './doctor-runtime.ts';

describe('isRuntimeConfigured', () => {
  it.each([
    ['version = 3\n', true],
    ['', true],
    ['# disabled_plugins = ["cri"]\n', true],
    ['disabled_plugins = []\n[plugins."io.containerd.grpc.v1.cri"]\n', true],
    ['disabled_plugins = ["cri"]\n', false],
    ['disabled_plugins = [\n  "io.containerd.internal.v1.opt",\n  "io.containerd.grpc.v1.cri",\n]\n', false],
  ])('reads %j', (content, isConfigured) => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'config.toml');
    writeFileSync(path, content);
    expect(isRuntimeConfigured('', ['/no/such/file', path])).toBe(isConfigured);
    expect(isRuntimeConfigured('none', [path])).toBe(false);
  });

  it('takes a folder of parts for one, and nothing for none', () => {
    using folder = temporaryFolder();
    mkdirSync(join(folder.path, 'conf.d'));
    expect(isRuntimeConfigured('', [join(folder.path, 'conf.d')])).toBe(true);
    expect(isRuntimeConfigured('', ['/no/such/file'])).toBe(false);
  });
});
