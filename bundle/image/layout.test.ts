import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { imageArchive, layerOf } from './layout.ts';

const parts = {
  name: 'localhost/x:1.2',
  arch: 'x64',
  layers: [
    layerOf([{ path: 'bin/x', mode: 0o755, content: Buffer.from('x') }]),
    layerOf([{ path: 'etc', mode: 0o755 }]),
  ],
  config: { User: '1:1' },
  annotations: { a: 'b' },
};

interface Descriptor {
  readonly digest: string;
  readonly size: number;
}

const file = (archive: Buffer, path: string): Buffer =>
  execFileSync('tar', ['-xOf', '-', path], { input: archive, maxBuffer: 1 << 24 });

const sha256 = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

describe('imageArchive', () => {
  it('is an OCI layout whose digests, sizes and layers agree, the same each time', () => {
    const archive = imageArchive(parts);
    expect(imageArchive(parts).equals(archive)).toBe(true);
    const blob = <T>({ digest, size }: Descriptor): { readonly bytes: Buffer; readonly json: () => T } => {
      const bytes = file(archive, `blobs/${digest.replace(':', '/')}`);
      expect([sha256(bytes), bytes.length]).toEqual([digest, size]);
      return { bytes, json: () => JSON.parse(bytes.toString('utf8')) as T };
    };
    const index = JSON.parse(file(archive, 'index.json').toString('utf8')) as {
      readonly manifests: readonly [Descriptor & { readonly annotations: object }];
    };
    expect(index.manifests[0].annotations).toEqual({
      'io.containerd.image.name': 'localhost/x:1.2',
      'org.opencontainers.image.ref.name': '1.2',
    });
    const manifest = blob<{ readonly config: Descriptor; readonly layers: readonly Descriptor[] }>(index.manifests[0]);
    const { config, layers } = manifest.json();
    const diffIds = layers.map((layer) => sha256(gunzipSync(blob(layer).bytes)));
    expect(blob(config).json()).toEqual({
      created: '1970-01-01T00:00:00Z',
      architecture: 'amd64',
      os: 'linux',
      config: { User: '1:1', Labels: { a: 'b' } },
      rootfs: { type: 'layers', diff_ids: diffIds },
    });
  });
});
