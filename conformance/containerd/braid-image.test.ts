/** The image of all roles, in containers of a real runtime: read-only, and without root where that is possible. */
import { readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Outcome } from '../lab/execute.ts';
import { DIST, PLUGINS } from '../lab/programs.ts';
import { macvlan, makeRails, multus } from './networks.ts';
import { imageOf, VERSION } from './own-image.ts';
import { until } from './poll.ts';
import { RUNTIMES, Site } from './site.ts';

const ARCHIVE = await imageOf('braid');
const IMAGE = `localhost/braid:${VERSION}`;

const bind = (from: string, to: string, mode: string): readonly string[] => [
  '--mount',
  `type=bind,src=${from},dst=${to},options=rbind:${mode}`,
];

const TMP = ['--mount', 'type=tmpfs,src=tmpfs,dst=/tmp,options=mode=1777'];

/** On a node of its own, with the image in its store. */
class ImageSite implements AsyncDisposable {
  readonly site: Site;
  private containers = 0;
  private hasAgent = false;

  private constructor(site: Site) {
    this.site = site;
  }

  static async open(...site: Parameters<typeof Site.open>): Promise<ImageSite> {
    const one = new ImageSite(await Site.open(...site));
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

  /** Starts an agent as the chart's DaemonSet does, and waits until it listens. */
  async startAgent(): Promise<void> {
    const { node, bin } = this.site;
    this.hasAgent = true;
    const folders = 'mkdir -p /run/braid && mount -t tmpfs -o mode=700 braid /run/braid'; // of this node alone
    expect(await node.execute(['sh', '-c', folders])).toMatchObject({ exitCode: 0 });
    const options = [
      ...['--detach', '--privileged', '--net-host', '--user', '0'],
      ...TMP, // the lab's folders are below it
      ...bind('/run', '/run', 'rw:rslave'),
      ...bind('/run', '/var/run', 'rw:rslave'),
      ...bind('/var/lib/cni', '/var/lib/cni', 'rw'),
      ...bind(bin, bin, 'ro'),
    ];
    const words = [IMAGE, 'braid-agent', '/usr/local/bin/braid', 'agent'];
    const outcome = await this.ctr('run', '--read-only', ...options, ...words);
    expect(outcome, outcome.stderr).toMatchObject({ exitCode: 0 });
    await until('the agent to listen', async () => {
      const { exitCode } = await node.execute(['test', '-S', '/run/braid/agent.sock']);
      return exitCode === 0 ? true : undefined;
    });
  }

  braid(options: readonly string[], ...words: readonly string[]): Promise<Outcome> {
    return this.run(options, '/usr/local/bin/braid', ...words);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.site[Symbol.asyncDispose]();
    if (this.hasAgent) {
      rmdirSync('/run/braid'); // what the agent had there was mounted on it
    }
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
    const options = [
      ...['--user', '0', '--env', 'KUBERNETES_SERVICE_HOST=10.0.0.1', '--env', 'KUBERNETES_SERVICE_PORT=443'],
      ...bind('/', '/host', 'ro'),
      ...bind(bin, `/host${bin}`, 'rw'),
      ...bind(confDir, `/host${confDir}`, 'rw'),
      ...bind(account, '/var/run/secrets/kubernetes.io/serviceaccount', 'ro'),
      ...TMP,
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

  it('attaches pods by an agent in a container: their launchers have nothing else, and its root is the image', async () => {
    const plugins = [...PLUGINS.map((name) => join(DIST, 'resident', name)), join(DIST, 'standalone/braid')];
    await using image = await ImageSite.open(programs, { plugins });
    const { site } = image;
    await makeRails(site, 2);
    await image.startAgent();
    await site.configure([macvlan()]);
    const pod = await site.run({ name: 'one' });
    expect(await site.addresses(pod, 'eth0')).toEqual(['10.5.0.1/24']);
    await site.remove(pod);
    await site.configure([multus(site, 2)]);
    const [a, b] = [await site.run({ name: 'a' }), await site.run({ name: 'b' })];
    expect(await site.addresses(b, 'net1')).toEqual(['10.6.1.2/24']);
    await site.reach(a, 'net1', '10.6.1.2');
    expect(site.reservations()).toHaveLength(4);
    await site.remove(a);
    await site.remove(b);
    expect(site.reservations()).toEqual([]);
    const { stdout } = await site.braid('doctor', '--cri', 'none', '--bin', site.bin, '--json');
    const texts = (JSON.parse(stdout) as readonly { readonly text: string }[]).map(({ text }) => text);
    expect(texts.filter((text) => /agent|launcher/.test(text))).toEqual([
      expect.stringContaining('have no program beside them'),
    ]);
    await image.ctr('tasks', 'kill', '--signal', 'SIGKILL', 'braid-agent');
    await expect(site.run({ name: 'c' })).rejects.toThrow(/no agent takes calls|cannot call the agent/);
  });
});
