/** What the build makes, and how its programs find out who they are. */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE_ENV, type Env, execute, mustRun, type Outcome } from '../lab/execute.ts';
import { errorOf } from '../lab/printed.ts';
import { DIST, PLUGINS, ROOT, SCRIPT, STANDALONE, VERSIONS } from '../lab/programs.ts';

const OLDEST_NODE = 24;
const LARGEST_LAUNCHER = 40 * 1024;
const LARGEST_SCRIPTS = { plugins: 628 * 1024, braid: 1405 * 1024 };
const VERSION = `{"cniVersion":"1.1.0","supportedVersions":[${VERSIONS.map((version) => `"${version}"`)}]}\n`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'braid-build-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ask = (argv: readonly string[], env: Env = {}, cwd?: string): Promise<Outcome> =>
  execute(argv, { env: { ...BASE_ENV, CNI_COMMAND: 'VERSION', ...env }, ...(cwd === undefined ? {} : { cwd }) });

const isAnswer = { exitCode: 0, signal: undefined, stdout: VERSION, stderr: '' };

describe('the folder dist', () => {
  const names = [...PLUGINS, 'braid'].sort();
  const pageOf = (name: string): string => (name === 'braid' ? 'braid.8' : `braid-${name}.8`);

  it('has each plugin and braid, as script and as standalone program, executable', () => {
    for (const place of [SCRIPT, STANDALONE]) {
      expect(readdirSync(place).sort()).toEqual(names);
      expect(names.filter((name) => (statSync(join(place, name)).mode & 0o777) !== 0o755)).toEqual([]);
    }
  });

  it('has one standalone program behind all names, one script behind those of plugins, and another as braid', () => {
    const files = (place: string, of: readonly string[]) => new Set(of.map((name) => statSync(join(place, name)).ino));
    expect(files(STANDALONE, names).size).toBe(1);
    expect(files(SCRIPT, PLUGINS).size).toBe(1);
    expect(files(SCRIPT, names).size).toBe(2);
  });

  it('has one launcher behind the names of all plugins, without a C library, and the standalone program beside it', async () => {
    const place = join(DIST, 'resident');
    expect(readdirSync(place).sort()).toEqual(['.braid', ...PLUGINS].sort());
    const files = PLUGINS.map((name) => statSync(join(place, name)));
    expect(new Set(files.map(({ ino }) => ino)).size).toBe(1);
    expect(files[0]?.size).toBeLessThan(LARGEST_LAUNCHER);
    expect(await mustRun(['readelf', '-l', join(place, 'macvlan')])).not.toMatch(/INTERP|DYNAMIC/);
    expect(statSync(join(place, '.braid/standalone')).ino).toBe(statSync(join(STANDALONE, 'braid')).ino);
  });

  it(`has scripts of ${LARGEST_SCRIPTS.plugins} bytes at most for plugins, ${LARGEST_SCRIPTS.braid} for braid`, () => {
    const largest = Math.max(...PLUGINS.map((name) => statSync(join(SCRIPT, name)).size));
    expect(largest).toBeLessThanOrEqual(LARGEST_SCRIPTS.plugins);
    expect(statSync(join(SCRIPT, 'braid')).size).toBeLessThanOrEqual(LARGEST_SCRIPTS.braid);
  });

  it('has checksums of every program, schema, manual page, manifest and chart, and they are right', async () => {
    const listed = readFileSync(join(DIST, 'SHA256SUMS'), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split('  ')[1]);
    const there = ['script', 'standalone', 'resident', 'schema', 'man', 'deploy', 'chart'].flatMap((part) =>
      readdirSync(join(DIST, part), { withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ name }) => `${part}/${name}`),
    );
    expect(listed.sort()).toEqual(there.sort());
    await mustRun(['sha256sum', '--check', '--strict', '--quiet', 'SHA256SUMS'], { cwd: DIST });
  });

  it('has a manual page of each plugin, with every key of its configuration, and of braid', () => {
    const pages = [...names.map(pageOf), 'braid-device-plugins.8'];
    expect(readdirSync(join(DIST, 'man')).sort()).toEqual(pages.sort());
    for (const plugin of PLUGINS) {
      const { properties } = JSON.parse(readFileSync(join(DIST, 'schema', `${plugin}.json`), 'utf8'));
      const page = readFileSync(join(DIST, 'man', pageOf(plugin)), 'utf8');
      const keys = Object.keys(properties).filter((key) => !['cniVersion', 'name', 'type'].includes(key));
      expect(keys.filter((key) => !page.includes(`\n\\fB${key.replace(/-/g, '\\-')}\\fR (`))).toEqual([]);
    }
  });

  it.each(PLUGINS)('has a schema of %s that knows every key of its examples', (plugin) => {
    const schema = JSON.parse(readFileSync(join(DIST, 'schema', `${plugin}.json`), 'utf8'));
    const keys = examplesOf(plugin).flatMap((example) =>
      (JSON.parse(example).plugins as object[])
        .filter((conf) => 'type' in conf && conf.type === plugin)
        .flatMap((conf) => Object.keys(conf)),
    );
    const common = ['type', 'capabilities'];
    expect(keys.filter((key) => !(key in schema.properties) && !common.includes(key))).toEqual([]);
  });
});

describe.each([
  { form: 'the standalone program', place: STANDALONE, file: 'braid' },
  { form: 'the script of braid', place: SCRIPT, file: 'braid' },
  { form: 'the script of plugins', place: SCRIPT, file: 'multus' },
])('$form', ({ place, file }) => {
  const [plugin = ''] = PLUGINS;
  const source = join(place, file);
  const at = (name: string): string => join(mkdtempSync(join(folder, 'x ')), name); // with a blank in the path

  it.each([
    { kind: 'hard link', make: (path: string) => linkOrCopy(source, path) },
    { kind: 'symbolic link', make: (path: string) => symlinkSync(source, path) },
    { kind: 'copy', make: (path: string) => copyFileSync(source, path) },
    {
      kind: 'symbolic link to a symbolic link of another name',
      make: (path: string) => {
        symlinkSync(source, `${path}-x`);
        symlinkSync(`${path}-x`, path);
      },
    },
  ])('is the plugin that a $kind names', async ({ make }) => {
    for (const name of PLUGINS) {
      const path = at(name);
      make(path);
      const outcome = await ask([path], { CNI_COMMAND: '' });
      expect({ exitCode: outcome.exitCode, about: outcome.stderr.split(':')[0] }).toEqual({ exitCode: 0, about: name });
    }
  });

  it('is found through PATH, by a relative path and from any folder', async () => {
    const path = { PATH: `${place}:${BASE_ENV['PATH']}` };
    expect(await ask(['sh', '-c', plugin], path)).toEqual(isAnswer);
    expect(await ask([`./${plugin}`], {}, place)).toEqual(isAnswer);
    expect(await ask([`../${basename(place)}/${plugin}`], {}, place)).toEqual(isAnswer);
    expect(await ask([join(place, plugin)], {}, '/proc')).toEqual(isAnswer);
  });

  it('says what it can be when its name is none of these', async () => {
    const path = at('flannel');
    linkOrCopy(source, path);
    expect(errorOf(await ask([path]))).toMatchObject({
      code: 999,
      message: expect.stringMatching(new RegExp(`"flannel".*${PLUGINS.join('.*')}`)),
    });
  });

  it('as braid helps people, with exit codes 0 and 2', async () => {
    const braid = join(place, 'braid');
    const help = await ask([braid, '--help']);
    expect(help).toMatchObject({ exitCode: 0, stderr: '', stdout: expect.stringContaining(plugin) });
    expect(await ask([braid])).toMatchObject({ exitCode: 0 });
    expect(await ask([braid, '--version'])).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^braid \d+\.\d+\.\d+\n$/),
    });
    expect(await ask([braid, 'nonsense'])).toMatchObject({ exitCode: 2 });
  });

  it('leaves no file in the folders it loads its native part from', async () => {
    const files = () =>
      ['/dev/shm', tmpdir()].flatMap((place) => readdirSync(place).filter((name) => name.startsWith('.braid')));
    const env = { CNI_COMMAND: 'STATUS', CNI_PATH: '/nowhere', CNI_CONTAINERID: 'c', CNI_IFNAME: 'x' };
    const before = files();
    await execute([join(place, 'macvlan')], {
      env: { ...BASE_ENV, ...env },
      stdin: JSON.stringify({ cniVersion: '1.1.0', name: 'a', master: 'absent0' }),
    });
    expect(files()).toEqual(before);
  });

  it('works where no folder but its own takes programs, and says so where none does', async () => {
    const status = { ...BASE_ENV, CNI_COMMAND: 'STATUS', CNI_PATH: '/nowhere' };
    const stdin = JSON.stringify({ cniVersion: '1.1.0', name: 'a', master: 'par' });
    const makeParent = 'ip link add par type veth peer name peer\nip link set par up';
    const noexec = (path: string) => `mount -t tmpfs -o noexec tmpfs ${path}`;
    const run = (...mounts: readonly string[]) =>
      execute(
        [
          ...['unshare', '--mount', '--propagation', 'slave', '--net', 'sh', '-ec'],
          ...[`${[makeParent, ...mounts].join('\n')}\nexec "$0"`, join(place, 'macvlan')],
        ],
        { env: status, stdin },
      );
    expect(await run()).toMatchObject({ exitCode: 0, stdout: '' });
    expect(await run(noexec('/dev/shm'))).toMatchObject({ exitCode: 0, stdout: '' });
    if (!place.startsWith(tmpdir())) {
      expect(await run(noexec('/dev/shm'), noexec(tmpdir()), noexec('/run'))).toMatchObject({
        exitCode: 0,
        stdout: '',
      });
    }
  });
});

describe('the standalone program', () => {
  const [plugin = ''] = PLUGINS;
  const path = join(STANDALONE, plugin);

  it.each([
    { NODE_OPTIONS: '--require=/absent/module.js' },
    { NODE_OPTIONS: '--no-such-option' },
    { NODE_OPTIONS: '--max-old-space-size=1' },
    { NODE_OPTIONS: '--throw-deprecation --trace-exit' },
    { NODE_PATH: '/absent' },
    { NODE_EXTRA_CA_CERTS: '/absent' },
    { NODE_NO_WARNINGS: '0' },
    { NODE_PENDING_DEPRECATION: '1' },
  ])('does not care for %j', async (env) => {
    expect(await ask([path], { ...(env as Env) })).toEqual(isAnswer);
  });

  it('takes no options of Node from its command line', async () => {
    expect(await ask([path, '--version'])).toEqual(isAnswer);
    expect(await ask([path, '--eval', 'console.log(1)'])).toEqual(isAnswer);
  });

  it('needs no Node on the PATH, no HOME, and no environment at all', async () => {
    expect(await execute([path], { env: { CNI_COMMAND: 'VERSION' } })).toEqual(isAnswer);
  });
});

describe('the script', () => {
  const [plugin = ''] = PLUGINS;
  const old = oldNodes();

  it('runs with the Node of the PATH', async () => {
    expect(
      await ask([join(SCRIPT, plugin)], { PATH: `${process.execPath.replace(/\/[^/]*$/, '')}:/usr/bin:/bin` }),
    ).toEqual(isAnswer);
  });

  for (const { path, version } of old) {
    it(`says on Node ${version} (${path}) which Node it needs, as an error of the contract with code 999`, async () => {
      for (const name of [...PLUGINS, 'braid']) {
        const outcome = await ask([path, join(SCRIPT, name)], { CNI_COMMAND: 'ADD' });
        expect(outcome).toMatchObject({ exitCode: 1, stderr: '' });
        expect(errorOf(outcome)).toEqual({
          code: 999,
          message: expect.stringMatching(new RegExp(`Node ${version}.*Node ${OLDEST_NODE} or newer`)),
        });
      }
    });
  }

  it('says on a Node that calls itself 18 which Node it needs', async () => {
    const pretend = join(folder, 'pretend.cjs');
    writeFileSync(pretend, `Object.defineProperty(process.versions, 'node', { value: '18.20.0' });`);
    const outcome = await ask([process.execPath, '--require', pretend, join(SCRIPT, plugin)]);
    expect({ exit: outcome.exitCode, ...errorOf(outcome) }).toEqual({
      exit: 1,
      code: 999,
      message: expect.stringMatching(/Node 18\.20\.0.*Node 24 or newer/),
    });
  });

  it.each([
    {
      name: 'whereabouts',
      verb: 'STATUS', // ADD asks for half a minute
      confOf: (kubeconfig: string) => ({
        ipam: { type: 'whereabouts', range: '192.0.2.0/24', kubernetes: { kubeconfig } },
      }),
    },
    { name: 'multus', verb: 'ADD', confOf: (kubeconfig: string) => ({ kubeconfig, clusterNetwork: 'red' }) },
  ])('of plugins asks a cluster by itself: $name $verb', async ({ name, verb, confOf }) => {
    const place = mkdtempSync(join(folder, 'x '));
    copyFileSync(join(SCRIPT, name), join(place, name));
    writeFileSync(join(place, 'kubeconfig'), NOBODY_IS_THERE);
    const conf = confOf(join(place, 'kubeconfig'));
    const outcome = await execute(['unshare', '--net', join(place, name)], {
      env: {
        ...BASE_ENV,
        ...{ CNI_COMMAND: verb, CNI_CONTAINERID: 'c', CNI_IFNAME: 'eth0', CNI_PATH: place },
        ...{ CNI_NETNS: '/proc/1/ns/net', CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=blue;K8S_POD_NAME=web' },
      },
      stdin: JSON.stringify({ cniVersion: '1.1.0', name: 'a', type: name, ...conf }),
    });
    expect(outcome.exitCode).toBe(1);
    expect(errorOf(outcome).message).toMatch(/cannot get .*"https:\/\/127\.0\.0\.1:1" cannot be reached/);
  });

  it('of plugins is not braid, and says so', async () => {
    const path = join(mkdtempSync(join(folder, 'x ')), 'braid');
    linkOrCopy(join(SCRIPT, plugin), path);
    const message = expect.stringMatching(new RegExp(`"braid": this program is one of ${PLUGINS.join(', ')}$`));
    expect(errorOf(await ask([path, '--version']))).toEqual({ code: 999, message });
  });

  it.each([plugin, 'braid'])(
    '%s begins with words that any Node understands, before anything that some do not',
    (name) => {
      const [first = '', ...guard] = readFileSync(join(SCRIPT, name), 'utf8').split('\n');
      expect(first).toBe('#!/bin/sh');
      expect(guard.slice(0, 4).join('\n')).not.toMatch(/\b(const|let|class|import)\b|=>|`|\?\.|\?\?/);
    },
  );
});

describe('the build', () => {
  it('makes the same bytes of the same sources, in whatever folder', async () => {
    const copies = ['one', 'another one'].map((name) => join(folder, name));
    const [first = '', second = ''] = copies;
    copySources(ROOT, first);
    copySources(first, second);
    const env = { ...BASE_ENV, PATH: `${join(ROOT, 'node_modules/.bin')}:${BASE_ENV['PATH']}` };
    await Promise.all(copies.map((cwd) => mustRun([process.execPath, 'bundle/build.ts'], { cwd, env })));
    const sums = copies.map((copy) => readFileSync(join(copy, 'dist/SHA256SUMS'), 'utf8'));
    expect(sums[0]).toBe(sums[1]);
    expect(sums[0]).toContain('standalone/');
  }, 1_200_000);
});

const NOBODY_IS_THERE = `apiVersion: v1
kind: Config
clusters: [{ name: a, cluster: { server: 'https://127.0.0.1:1' } }]
users: [{ name: a, user: { token: a } }]
contexts: [{ name: a, context: { cluster: a, user: a, namespace: blue } }]
current-context: a
`;

/** What the build reads. */
function copySources(from: string, to: string): void {
  const parts = ['bundle', 'lib', 'plugins', 'scripts', 'package.json', 'package-lock.json', 'tsconfig.json'];
  mkdirSync(to);
  for (const part of [...parts, 'README.md', 'LICENSE', 'NOTICE'].filter((name) => existsSync(join(from, name)))) {
    cpSync(join(from, part), join(to, part), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(to, 'node_modules'));
}

/** Every Node on this machine that is too old for the scripts. */
function oldNodes(): readonly { readonly path: string; readonly version: string }[] {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/bin', '/usr/local/bin', '/opt/node/bin'];
  const paths = new Set(folders.map((place) => join(place, 'node')).filter((path) => existsSync(path)));
  return [...paths].flatMap((path) => {
    const version = versionOf(path);
    return version !== '' && Number.parseInt(version, 10) < OLDEST_NODE ? [{ path, version }] : [];
  });
}

/** `20.20.2`, '' for what is no Node. */
function versionOf(path: string): string {
  const { stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' });
  return /^v(\d+\.\d+\.\d+)\n$/.exec(stdout ?? '')?.[1] ?? '';
}

function examplesOf(plugin: string): readonly string[] {
  const place = join(ROOT, 'plugins', plugin, 'examples');
  return existsSync(place)
    ? readdirSync(place)
        .filter((name) => name.endsWith('.conflist'))
        .map((name) => readFileSync(join(place, name), 'utf8'))
    : [];
}

/** The folder of the build may be on another file system. */
function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
