/** Images of one program of a few lines: no registry is asked. */
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { mustRun } from '../lab/execute.ts';

export const PAUSE_IMAGE = 'localhost/braid/pause:1';

/** A program in C, and the name of an image that runs it. */
export interface Image {
  readonly name: string;
  readonly source: string;
}

export const PAUSE: Image = { name: PAUSE_IMAGE, source: join(import.meta.dirname, 'pause.c') };

const MEDIA = 'application/vnd.oci.image';
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

interface Blob {
  readonly digest: string;
  readonly size: number;
}

/** Makes an OCI layout in a tar file, the same to the byte whenever the compiler makes the same program. */
export async function makeImage(path: string, { name, source }: Image): Promise<void> {
  const work = mkdtempSync(`${path}-`);
  const layout = join(work, 'layout');
  const blobs = join(layout, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const blob = (file: string): Blob => {
    const bytes = readFileSync(file);
    const hash = createHash('sha256').update(bytes).digest('hex');
    copyFileSync(file, join(blobs, hash));
    return { digest: `sha256:${hash}`, size: bytes.length };
  };
  const json = (value: unknown): Blob => {
    const file = join(work, 'json');
    writeFileSync(file, JSON.stringify(value));
    return blob(file);
  };
  try {
    const root = join(work, 'root');
    for (const folder of ['dev', 'etc', 'proc', 'sys']) {
      mkdirSync(join(root, folder), { recursive: true });
    }
    const program = basename(source, '.c');
    await mustRun(['cc', '-static', '-Os', '-s', '-o', join(root, program), source]);
    const layer = blob(await tarOf(root, join(work, 'layer.tar')));
    const config = json({
      architecture: ARCHITECTURES[process.arch],
      os: 'linux',
      config: { Entrypoint: [`/${program}`] },
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
    });
    const manifest = json({
      schemaVersion: 2,
      mediaType: `${MEDIA}.manifest.v1+json`,
      config: { mediaType: `${MEDIA}.config.v1+json`, ...config },
      layers: [{ mediaType: `${MEDIA}.layer.v1.tar`, ...layer }],
    });
    const annotations = { 'io.containerd.image.name': name };
    const index = {
      schemaVersion: 2,
      manifests: [{ mediaType: `${MEDIA}.manifest.v1+json`, ...manifest, annotations }],
    };
    writeFileSync(join(layout, 'index.json'), JSON.stringify(index));
    writeFileSync(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    renameSync(await tarOf(layout, join(work, 'image.tar')), path);
  } finally {
    rmSync(work, { recursive: true });
  }
}

async function tarOf(folder: string, path: string): Promise<string> {
  const same = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mtime=@0', '--mode=u=rwX,go=rX'];
  await mustRun(['tar', '-C', folder, ...same, '-cf', path, '.']);
  return path;
}
