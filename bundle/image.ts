/**
 * `node bundle/image.ts`, after the build: makes dist/image/, the image of all roles. It needs no registry and no base:
 * the executable, the libraries that it names, as this machine's Debian has them, and nothing else.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFolder } from '../lib/sys/atomic-file.ts';
import { DIST, ROOT } from './compile.ts';
import { imageArchive } from './image/layout.ts';
import { librariesOf } from './image/libraries.ts';
import { billOfMaterials, licences } from './image/sbom.ts';
import type { Entry } from './image/tar.ts';

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string };

/** The name under which runtimes get it. */
const NAME = `localhost/braid:${version}`;
/** of whoever has no other in the pod's specification */
const USER = 65_532;

const PROGRAM = join(DIST, 'standalone/braid');

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
    text('usr/share/sbom/braid.cdx.json', bill),
    ...licences(ROOT, DIST, packages),
  ];
  const archive = imageArchive({
    name: NAME,
    arch: process.arch,
    layers: [system, own],
    config: {
      User: `${USER}:${USER}`,
      Entrypoint: ['/usr/local/bin/braid'],
      Cmd: ['help'],
      Env: ['PATH=/usr/local/bin:/usr/sbin'],
      WorkingDir: '/',
    },
    annotations: {
      'org.opencontainers.image.title': 'braid',
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.licenses': 'Apache-2.0',
    },
  });
  const folder = join(DIST, 'image');
  rmSync(folder, { recursive: true, force: true });
  makeFolder(folder, { mode: 0o755, sync: false });
  const name = `braid-${version}.tar`;
  writeFileSync(join(folder, name), archive);
  writeFileSync(join(folder, 'sbom.cdx.json'), bill);
  const sum = createHash('sha256').update(archive).digest('hex');
  writeFileSync(join(folder, 'SHA256SUMS'), `${sum}  ${name}\n`);
  console.log(`${join(folder, name)}: ${NAME}, ${Math.round(archive.length / 1e6)} MB, sha256 ${sum}`);
}

main();
