/**
 * `node bundle/image.ts`, after the build: makes dist/image/, the image of all roles, and the same for manifests of the Go
 * device plugins. It needs no registry and no base: the executable, the libraries that it names, as this machine's Debian has
 * them, and nothing else.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { makeFolder } from '../lib/sys/atomic-file.ts';
import { DIST, ROOT } from './compile.ts';
import { imageArchive, type Layer, layerOf } from './image/layout.ts';
import { librariesOf } from './image/libraries.ts';
import { billOfMaterials, licences } from './image/sbom.ts';
import type { Entry } from './image/tar.ts';

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string };

/** Under which names runtimes get images. */
const REPOSITORY = 'localhost';
/** of whoever has no other in the pod's specification */
const USER = 65_532;

const PROGRAM = join(DIST, 'standalone/braid');
const NATIVE = join(DIST, `native/linux-${process.arch}.node`);

/** Where images of the Go device plugins have what their manifests start. */
const DEVICE_PROGRAMS = ['entrypoint.sh', 'usr/bin/sriovdp', 'bin/k8s-rdma-shared-dp'];

interface Start {
  readonly name: string;
  readonly User: string;
  readonly Entrypoint: readonly string[];
  readonly Cmd?: readonly string[];
}

/** The same files, started in different ways: manifests of the Go device plugins name neither a command nor a user. */
const IMAGES: readonly Start[] = [
  { name: 'braid', User: `${USER}:${USER}`, Entrypoint: ['/usr/local/bin/braid'], Cmd: ['help'] },
  { name: 'braid-sriov-network-device-plugin', User: '0:0', Entrypoint: ['/entrypoint.sh'] },
  { name: 'braid-k8s-rdma-shared-dev-plugin', User: '0:0', Entrypoint: ['/bin/k8s-rdma-shared-dp'] },
];

const linkTo = (target: string, path: string): Entry => ({
  path,
  mode: 0o777,
  content: new Uint8Array(),
  link: relative(join('/', dirname(path)), target),
});

const text = (path: string, content: string): Entry => ({ path, mode: 0o644, content: Buffer.from(content) });

function main(): void {
  if (!existsSync(PROGRAM)) {
    throw new Error(`there is no ${PROGRAM}: run "npm run build" first`);
  }
  const work = mkdtempSync(join(tmpdir(), 'braid-image-'));
  try {
    const chroot = join(work, 'chroot');
    const flags = ['-Os', '-s', '-Wall', '-Wextra', '-Werror', '-Wl,--build-id=none'];
    execFileSync('cc', [...flags, '-o', chroot, join(ROOT, 'bundle/image/chroot.c')], { stdio: 'inherit' });
    write(chroot);
  } finally {
    rmSync(work, { recursive: true });
  }
}

function write(chroot: string): void {
  const { files, packages } = librariesOf([PROGRAM, chroot]);
  const bill = billOfMaterials(ROOT, packages);
  const system: readonly Entry[] = [
    ...files,
    { path: 'usr/sbin/chroot', mode: 0o755, content: readFileSync(chroot) },
    text('etc/passwd', `root:x:0:0::/:/sbin/nologin\nbraid:x:${USER}:${USER}::/:/sbin/nologin\n`),
    text('etc/group', `root:x:0:\nbraid:x:${USER}:\n`),
    { path: 'tmp', mode: 0o1777 },
  ];
  const own: readonly Entry[] = [
    { path: 'usr/local/bin/braid', mode: 0o755, content: readFileSync(PROGRAM) },
    // Where the program may write nowhere it is loaded from there.
    { path: 'usr/local/bin/braid.node', mode: 0o644, content: readFileSync(NATIVE) },
    ...DEVICE_PROGRAMS.map((path) => linkTo('/usr/local/bin/braid', path)),
    text('usr/share/sbom/braid.cdx.json', bill),
    ...licences(ROOT, DIST, packages),
  ];
  const layers = [layerOf(system), layerOf(own)];
  putIn(join(DIST, 'image'), (folder) => {
    writeFileSync(join(folder, 'sbom.cdx.json'), bill);
    const sums = IMAGES.map((image) => {
      const archive = archiveOf(image, layers);
      const file = `${image.name}-${version}.tar`;
      writeFileSync(join(folder, file), archive);
      console.log(`${file}: ${nameOf(image)}, ${Math.round(archive.length / 1e6)} MB`);
      return `${createHash('sha256').update(archive).digest('hex')}  ${file}\n`;
    });
    writeFileSync(join(folder, 'SHA256SUMS'), sums.join(''));
  });
}

/** Whoever reads there finds each file whole, as it was or as it is; several may write at the same time. */
function putIn(folder: string, write: (fresh: string) => void): void {
  const fresh = mkdtempSync(`${folder}-`);
  try {
    write(fresh);
    const names = readdirSync(fresh);
    makeFolder(folder, { mode: 0o755, sync: false });
    for (const name of names) {
      renameSync(join(fresh, name), join(folder, name));
    }
    for (const old of readdirSync(folder).filter((name) => !names.includes(name))) {
      rmSync(join(folder, old), { recursive: true, force: true });
    }
  } finally {
    rmSync(fresh, { recursive: true });
  }
}

const nameOf = ({ name }: Start): string => `${REPOSITORY}/${name}:${version}`;

function archiveOf(image: Start, layers: readonly Layer[]): Buffer {
  const { name, ...start } = image;
  return imageArchive({
    name: nameOf(image),
    arch: process.arch,
    layers,
    config: { ...start, Env: ['PATH=/usr/local/bin:/usr/sbin'], WorkingDir: '/' },
    annotations: {
      'org.opencontainers.image.title': name,
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.licenses': 'Apache-2.0',
    },
  });
}

main();
