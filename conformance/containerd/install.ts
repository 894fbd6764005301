/**
 * The container runtimes that the tests run, and the image of their pods. `node conformance/containerd/install.ts`
 * fetches what is missing and prints the folders; `--with containerd2` also builds containerd 2. Nothing is installed on
 * the system.
 */
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { BASE_ENV, type Env, execute, mustRun } from '../lab/execute.ts';
import { type Image, makeImage, PAUSE } from './image.ts';

/** BRAID_CONTAINERD, or a folder that git ignores. */
const CACHE = process.env['BRAID_CONTAINERD'] ?? join(import.meta.dirname, '../../.cache/containerd');

const CONTAINERD2 = 'v2.4.2';
const RUNC = 'v1.4.0';

/** Programs of one containerd and of its runc. */
export interface RuntimePrograms {
  readonly name: 'containerd 1' | 'containerd 2';
  readonly bin: string;
}

export const PAUSE_TAR = join(CACHE, 'pause.tar');

const DEBIAN: RuntimePrograms = { name: 'containerd 1', bin: join(CACHE, 'debian') };
const BUILT: RuntimePrograms = { name: 'containerd 2', bin: join(CACHE, `containerd-${CONTAINERD2}`) };

/** Those that are there. */
export const runtimes = (): readonly RuntimePrograms[] => [DEBIAN, BUILT].filter(({ bin }) => existsSync(bin));

/** @throws Error with what is missing */
export async function install({ withContainerd2 = false } = {}): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  await make(PAUSE_TAR, (path) => makeImage(path, PAUSE));
  await make(DEBIAN.bin, fetchDebian);
  if (withContainerd2) {
    await make(BUILT.bin, buildContainerd2);
  }
}

/** @returns the tar file of an image, made anew when its program has changed */
export async function installImage(image: Image): Promise<string> {
  const digest = createHash('sha256').update(readFileSync(image.source)).digest('hex');
  const path = join(CACHE, `${basename(image.source, '.c')}-${digest.slice(0, 12)}.tar`);
  mkdirSync(CACHE, { recursive: true });
  await make(path, (wanted) => makeImage(wanted, image));
  return path;
}

/** What is there is whole: it gets its name at the end. */
async function make(path: string, how: (path: string) => Promise<void>): Promise<void> {
  if (!existsSync(path)) {
    await how(path);
  }
}

/** The packages of this machine's Debian, unpacked. */
async function fetchDebian(path: string): Promise<void> {
  const work = mkdtempSync(join(CACHE, 'debian-'));
  try {
    const download = ['apt-get', '-q', '-o', 'APT::Sandbox::User=root', 'download', 'containerd', 'runc'];
    if ((await execute(download, { cwd: work })).exitCode !== 0) {
      await execute(['apt-get', '-q', 'update']); // package lists may be absent or old
      await mustRun(download, { cwd: work });
    }
    for (const file of globSync('*.deb', { cwd: work })) {
      await mustRun(['dpkg', '-x', file, '.'], { cwd: work });
    }
    const programs = join(work, 'bin');
    mkdirSync(programs);
    for (const file of globSync('usr/{bin/containerd,bin/containerd-shim-runc-v2,bin/ctr,sbin/runc}', { cwd: work })) {
      copyFileSync(join(work, file), join(programs, basename(file)));
    }
    renameSync(programs, path);
  } catch (error) {
    throw new Error(`needs containerd and runc of Debian (apt-get download containerd runc): ${error}`);
  } finally {
    rmSync(work, { recursive: true });
  }
}

async function buildContainerd2(path: string): Promise<void> {
  const bin = mkdtempSync(`${path}-`);
  const env: Env = { ...BASE_ENV, ...goEnvironment(), GOBIN: bin, HOME: process.env['HOME'] ?? '/root' };
  try {
    for (const command of ['containerd', 'containerd-shim-runc-v2', 'ctr']) {
      const from = `github.com/containerd/containerd/v2/cmd/${command}@${CONTAINERD2}`;
      await mustRun(['go', 'install', '-ldflags', '-s -w', from], { env: { ...env, CGO_ENABLED: '0' } });
    }
    const from = `github.com/opencontainers/runc@${RUNC}`;
    await mustRun(['go', 'install', '-ldflags', '-s -w', from], { env: { ...env, CGO_ENABLED: '1' } });
    renameSync(bin, path);
  } catch (error) {
    throw new Error(`cannot build containerd ${CONTAINERD2} and runc ${RUNC} (needs Go and cc): ${error}`);
  } finally {
    rmSync(bin, { recursive: true, force: true });
  }
}

const goEnvironment = (): Env =>
  Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => /^(GO|.*_proxy$)/i.test(entry[0])),
  );

if (import.meta.main) {
  const { values } = parseArgs({ options: { with: { type: 'string', multiple: true, default: [] } } });
  await install({ withContainerd2: values.with.includes('containerd2') });
  console.log(
    runtimes()
      .map(({ bin }) => bin)
      .join('\n'),
  );
}
