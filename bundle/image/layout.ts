import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { type Entry, tarOf } from './tar.ts';

const MEDIA = 'application/vnd.oci.image';
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

export interface ImageParts {
  /** `localhost/braid:0.1.0` */
  readonly name: string;
  /** of Node: `x64` */
  readonly arch: string;
  readonly layers: readonly Layer[];
  /** of the image's configuration: user, entry point, environment */
  readonly config: object;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A layer as images have it, and its digest without compression. */
export interface Layer {
  readonly compressed: Buffer;
  readonly diffId: string;
}

export function layerOf(entries: readonly Entry[]): Layer {
  const archive = tarOf(entries);
  return { compressed: gzipSync(archive), diffId: digestOf(archive) };
}

interface Blob {
  readonly digest: string;
  readonly size: number;
}

/**
 * An image as one archive of an OCI layout (image-spec 1.1), which `ctr images import`, `podman load` and `skopeo copy
 * oci-archive:` take. The same parts give the same bytes.
 */
export function imageArchive({ name, arch, layers, config, annotations }: ImageParts): Buffer {
  const blobs = new Map<string, Uint8Array>();
  const blob = (bytes: Uint8Array): Blob => {
    const digest = digestOf(bytes);
    blobs.set(`blobs/${digest.replace(':', '/')}`, bytes);
    return { digest, size: bytes.length };
  };
  const json = (value: unknown): Blob => blob(Buffer.from(JSON.stringify(value)));
  const manifest = json({
    schemaVersion: 2,
    mediaType: `${MEDIA}.manifest.v1+json`,
    config: {
      mediaType: `${MEDIA}.config.v1+json`,
      ...json({
        created: '1970-01-01T00:00:00Z',
        architecture: ARCHITECTURES[arch] ?? arch,
        os: 'linux',
        config: { ...config, Labels: annotations },
        rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
      }),
    },
    layers: layers.map(({ compressed }) => ({ mediaType: `${MEDIA}.layer.v1.tar+gzip`, ...blob(compressed) })),
    annotations,
  });
  const names = {
    'io.containerd.image.name': name,
    'org.opencontainers.image.ref.name': name.slice(name.lastIndexOf(':') + 1),
  };
  const index = {
    schemaVersion: 2,
    mediaType: `${MEDIA}.index.v1+json`,
    manifests: [{ mediaType: `${MEDIA}.manifest.v1+json`, ...manifest, annotations: names }],
  };
  const files: readonly (readonly [string, Uint8Array])[] = [
    ['oci-layout', Buffer.from(JSON.stringify({ imageLayoutVersion: '1.0.0' }))],
    ['index.json', Buffer.from(JSON.stringify(index))],
    ...blobs,
  ];
  return tarOf(files.map(([path, content]) => ({ path, content, mode: 0o644 })));
}

const digestOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
