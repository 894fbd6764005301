/** The image of all roles, in containers of a real runtime: read-only, and without root where that is possible. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mustRun, type Outcome } from '../lab/execute.ts';
import { DIST, PLUGINS, ROOT } from '../lab/programs.ts';
import { RUNTIMES, Site } from './site.ts';

const VERSION = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string }).version;
const ARCHIVE = join(DIST, `image/braid-${VERSION}.tar`);
const IMAGE = `localhost/braid:${VERSION}`;

if (!existsSync(ARCHIVE)) {
  await mustRun([process.execPath, join(ROOT, 'bundle/image.ts')]);
}

/** On a node of its own, with the image in its store. */
class ImageSite implements AsyncDisposable {
  readonly site: Site;
  private containers = 0;

  private constructor(site: Site) {
    this.site = site;
  }

  static async open(programs: Parameters<typeof Site.open>[0]): Promise<ImageSite> {
    const one = new ImageSite(await Site.open(programs));
    const { exitCode, stderr } = await one.ctr('images', 'import', ARCHIVE);
    expect(exitCode, stderr).toBe(0);
    return one;
  }

  ctr(...words: readonly string[]): Promise<Outcome> {
    const { node } = this.site;
    const { socket } = node.forPeople();
    return node.execute([join(node.programs.bin, 'ctr'), '-a', socket, '-n', 'k8s.io', ...words]);
  }

  /** Runs a program of the image to its end, with a root that nobody can write to. */
  run(options: readonly string[], ...words: readonly string[]): Promise<Outcome> {
    return this.ctr('run', '--rm', '--read-only', ...options, IMAGE, `braid-${++this.containers}`, ...words);
  }

  braid(options: readonly string[], ...words: readonly string[]): Promise<Outcome> {
    return this.run(options, '/usr/local/bin/braid', ...words);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.site[Symbol.asyncDispose]();
  }
}

describe.each(RUNTIMES)('$name', (programs) => {
  it('runs the image as nobody in particular, from the archive that the build made', async () => {
    await using image = await ImageSite.open(programs);
    const version = await image.braid([], 'version', '--json');
    expect(version, version.stderr).toMatchObject({ exitCode: 0 });
    expect(JSON.parse(version.stdout)).toEqual({ version: VERSION, form: 'standalone' });
    const help = await image.braid([], 'controller', '--help');
    expect(help).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('usage: braid controller') });
    const root = await image.run([], '/usr/sbin/chroot', '/', '/usr/local/bin/braid');
    expect(root).toMatchObject({ exitCode: 125, stderr: expect.stringContaining('Operation not permitted') });
    const controller = await image.braid([], 'controller');
    expect(controller).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('this is no pod') });
  });
});

/** ctr of containerd 1 cannot choose a user */
describe.each(RUNTIMES.filter(({ name }) => name === 'containerd 2'))('$name', (programs) => {
  it('installs on the node from a container that may do nothing but chroot', async () => {
    await using image = await ImageSite.open(programs);
    const { lab } = image.site;
    const [bin, confDir, account] = [lab.folder('own-bin'), lab.folder('own-net.d'), lab.folder('account')];
    for (const [name, content] of [
      ['ca.crt', '-----BEGIN CERTIFICATE-----'],
      ['namespace', 'braid'],
      ['token', 't'],
    ]) {
      writeFileSync(join(account, name ?? ''), content ?? '');
    }
    const network = { cniVersion: '1.0.0', name: 'a', plugins: [{ type: 'bridge' }] };
    writeFileSync(join(confDir, '10-a.conflist'), JSON.stringify(network));
    const bind = (from: string, to: string, mode: string) => [
      '--mount',
      `type=bind,src=${from},dst=${to},options=rbind:${mode}`,
    ];
    const options = [
      ...['--user', '0', '--env', 'KUBERNETES_SERVICE_HOST=10.0.0.1', '--env', 'KUBERNETES_SERVICE_PORT=443'],
      ...bind('/', '/host', 'ro'),
      ...bind(bin, `/host${bin}`, 'rw'),
      ...bind(confDir, `/host${confDir}`, 'rw'),
      ...bind(account, '/var/run/secrets/kubernetes.io/serviceaccount', 'ro'),
      ...['--mount', 'type=tmpfs,src=tmpfs,dst=/tmp,options=mode=1777'],
    ];
    const folders = ['--host-root=/host', `--cni-bin-dir=/host${bin}`, `--cni-conf-dir=/host${confDir}`];
    const outcome = await image.braid(options, 'install', '--multus', ...folders);
    expect(outcome, outcome.stderr).toMatchObject({ exitCode: 0 });
    expect(readdirSync(bin).filter((name) => !name.startsWith('.'))).toEqual([...PLUGINS, 'braid'].toSorted());
    const conf = readFileSync(join(confDir, '00-multus.conflist'), 'utf8');
    expect(JSON.parse(conf)).toMatchObject({
      plugins: [{ type: 'multus', kubeconfig: `${confDir}/multus.d/multus.kubeconfig`, delegates: [network] }],
    });
  });
});
