/** braid install --multus: what a node has before, meanwhile and after, whatever happens. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { eventually } from '../lab/eventually.ts';
import { BASE_ENV, execute } from '../lab/execute.ts';
import { effectsOf, faulty } from '../lab/faults.ts';
import { STANDALONE } from '../lab/programs.ts';
import { killAfterEach, killedAfter } from '../lab/steps.ts';
import { IN_POD, KeepingNode, network } from './keeping-node.ts';

const DONE = { exitCode: 0, stderr: '' };
const QUICK = '--skip-multus-binary-copy';

const onNode = (test: (node: KeepingNode) => Promise<void>) => async () => {
  await using node = new KeepingNode();
  await test(node);
};

/** As the Go installer leaves a node, and a network beside it. */
function fill(node: KeepingNode): void {
  mkdirSync(join(node.confDir, 'multus.d'));
  node.write('multus.d/multus.kubeconfig', 'theirs');
  node.write('00-multus.conf', JSON.stringify({ cniVersion: '0.3.1', name: 'theirs', type: 'multus', delegates: [] }));
  node.write('10-a.conflist', network('a'));
}

describe('braid install --multus', () => {
  it(
    'ends when it is told to while programs are put in, also as the first process of a container',
    onNode(async (node) => {
      node.write('10-a.conflist', network('a'));
      const asked = join(node.dir, 'asked');
      const answer = '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}';
      const slow = `#!/bin/sh\ntouch ${asked}\nsleep 1\necho '${answer}'\n`;
      writeFileSync(join(node.bin, 'multus'), slow, { mode: 0o755 });
      const words = [join(STANDALONE, 'braid'), ...node.words('--watch', QUICK)];
      const container = spawn('unshare', ['--pid', '--fork', '--kill-child', ...words], {
        env: IN_POD,
        stdio: 'ignore',
      });
      const ended = once(container, 'exit');
      await eventually(async () => existsSync(asked), true);
      const children = readFileSync(`/proc/${container.pid}/task/${container.pid}/children`, 'utf8');
      expect(children.trim()).toMatch(/^\d+$/); // 0 would be ourselves
      process.kill(Number(children.trim()), 'SIGTERM');
      expect(await ended).toEqual([0, null]);
    }),
  );

  it(
    'puts the programs in, then the configuration that names them; uninstall gives the node back to the byte',
    onNode(async (node) => {
      fill(node);
      const before = node.files();
      expect(await node.install('--whereabouts')).toMatchObject(DONE);
      expect(readdirSync(node.bin)).toContain('multus');
      expect(node.wrapped()).toEqual(['a']);
      expect(existsSync(join(node.confDir, '00-multus.conf'))).toBe(false);
      const kubeconfig = load(node.read('multus.d/multus.kubeconfig') ?? '') as Record<string, unknown>;
      expect(kubeconfig).toMatchObject({
        'current-context': 'multus-context',
        clusters: [{ name: 'local', cluster: { server: 'https://[fd00::1]:6443' } }],
        users: [{ name: 'multus', user: { tokenFile: join(node.confDir, 'multus.d/multus.token') } }],
      });
      expect(node.read('multus.d/multus.token')).toBe('token-1');
      expect(JSON.parse(node.read('whereabouts.d/whereabouts.conf') ?? '')).toMatchObject({ datastore: 'kubernetes' });
      expect((await execute(['grep', '-r', 'token-1', node.confDir])).stdout.trim().split('\n')).toHaveLength(1);
      const again = await node.install('--whereabouts');
      expect(again).toMatchObject({ ...DONE, stdout: expect.stringMatching(/^nothing to do: [^\n]*\n$/) });
      expect(await node.uninstall()).toMatchObject(DONE);
      expect(node.files()).toEqual(before);
      expect(readdirSync(node.bin)).toEqual([]);
    }),
  );

  it(
    'names no program that does not start on the node, and replaces none by it',
    onNode(async (node) => {
      fill(node);
      const before = node.files();
      const root = join(node.dir, 'empty-node');
      for (const folder of ['opt/cni/bin', 'etc/cni']) {
        mkdirSync(join(root, folder), { recursive: true });
      }
      renameSync(node.confDir, join(root, 'etc/cni/net.d'));
      const folders = ['--bin', `${root}/opt/cni/bin`, '--cni-conf-dir', `${root}/etc/cni/net.d`];
      const words = ['install', '--multus', '--host-root', root, ...folders, '--service-account', node.serviceAccount];
      const outcome = await execute([join(STANDALONE, 'braid'), ...words], { env: IN_POD });
      expect(outcome).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('it does not start on this node') });
      renameSync(join(root, 'etc/cni/net.d'), node.confDir);
      expect(node.files()).toEqual(before);
      expect(readdirSync(join(root, 'opt/cni/bin')).filter((name) => !name.startsWith('.'))).toEqual([]);
    }),
  );

  it(
    'checks the start in the root of the node, and names paths as the node sees them',
    onNode(async (node) => {
      node.write('10-a.conflist', network('a'));
      const root = join(node.dir, 'host');
      mkdirSync(root);
      const words = node.words().map((word) => (word === node.bin || word === node.confDir ? `${root}${word}` : word));
      const mounted = [
        'unshare',
        '-m',
        '--propagation',
        'slave',
        'sh',
        '-c',
        'mount --rbind / "$0" && exec "$@"',
        root,
      ];
      const outcome = await execute([...mounted, join(STANDALONE, 'braid'), ...words, '--host-root', root], {
        env: IN_POD,
      });
      expect(outcome).toMatchObject(DONE);
      expect(node.read('00-multus.conflist')).toContain(`"kubeconfig": "${node.confDir}/multus.d/multus.kubeconfig"`);
      expect(node.read('multus.d/multus.kubeconfig')).toContain(`tokenFile: "${node.confDir}/multus.d/multus.token"`);
    }),
  );

  it(
    'brings another build while plugins are called, and the former one back, without touching the configuration',
    onNode(async (node) => {
      node.write('10-a.conflist', network('a'));
      const before = node.files();
      const builds = [node.build('one', (id) => id), node.build('two', (id) => [...id].reverse().join(''))];
      const install = async (braid: string): Promise<void> => {
        expect(await execute([braid, ...node.words()], { env: IN_POD })).toMatchObject(DONE);
      };
      await install(builds[0] ?? '');
      const { ino } = statSync(join(node.confDir, '00-multus.conflist'));
      const failures: string[] = [];
      let isOver = false;
      const calls = Array.from({ length: 3 }, async () => {
        while (!isOver) {
          const called = await execute([join(node.bin, 'multus')], { env: { ...BASE_ENV, CNI_COMMAND: 'VERSION' } });
          if (called.exitCode !== 0) {
            failures.push(called.stdout + called.stderr);
          }
        }
      });
      try {
        for (const braid of builds.toReversed()) {
          await install(braid);
          expect(readFileSync(join(node.bin, 'multus')).equals(readFileSync(braid))).toBe(true);
        }
      } finally {
        isOver = true;
        await Promise.all(calls);
      }
      expect(failures).toEqual([]);
      expect(statSync(join(node.confDir, '00-multus.conflist')).ino).toBe(ino);
      expect(await node.uninstall()).toMatchObject(DONE);
      expect([node.files(), readdirSync(node.bin)]).toEqual([before, []]);
    }),
    600_000,
  );

  it(
    'copies the configuration that it is given, and takes a kubeconfig of the node outside a pod',
    onNode(async (node) => {
      await node.linkPrograms();
      const own = join(node.dir, '70-multus.conf');
      writeFileSync(own, '{"cniVersion":"0.4.0","name":"m","type":"multus","delegates":[]}');
      expect(await node.install(QUICK, '--multus-conf-file', own)).toMatchObject(DONE);
      expect(node.read('70-multus.conf')).toBe(readFileSync(own, 'utf8'));
      node.write('10-a.conf', JSON.stringify({ cniVersion: '0.3.1', name: 'a', type: 'bridge' }));
      const { KUBERNETES_SERVICE_HOST: _, ...outside } = IN_POD;
      expect(await node.installWith(outside, QUICK)).toMatchObject({
        exitCode: 1,
        stderr: expect.stringContaining('no pod'),
      });
      expect(await node.installWith(outside, QUICK, '--multus-kubeconfig-file-host', own)).toMatchObject(DONE);
      expect(JSON.parse(node.read('00-multus.conf') ?? '')).toMatchObject({
        kubeconfig: own,
        delegates: [{ name: 'a' }],
      });
    }),
  );

  it(
    'can be killed after each of its steps: every file is whole, the next install completes it, uninstall restores it',
    onNode(async (node) => {
      await node.linkPrograms();
      fill(node);
      const before = node.files();
      await killAfterEach(10, {
        call: async (last) =>
          node.installWith({ ...IN_POD, ...(await killedAfter('braid', node.dir, last)) }, QUICK, '--rename-conf-file'),
        after: async (last) => {
          const named = node.read('00-multus.conflist');
          expect(named === undefined || JSON.parse(named)).toBeTruthy();
          if (named !== undefined) {
            expect(node.read('multus.d/multus.token')).toBe('token-1');
          }
          if (last % 3 === 0) {
            expect(await node.install(QUICK, '--rename-conf-file')).toMatchObject(DONE);
            expect(node.wrapped()).toEqual(['a']);
          }
          expect(await node.uninstall()).toMatchObject({ exitCode: 0 });
          expect(node.files()).toEqual(before);
        },
      });
    }),
    600_000,
  );

  it(
    'leaves whole files on a full disk, wherever it fills up',
    onNode(async (node) => {
      await node.linkPrograms();
      fill(node);
      const before = node.files();
      const full = async (from: number) =>
        node.installWith(
          { ...IN_POD, ...(await faulty(node.dir, { of: 'braid', below: node.confDir, from, error: 'ENOSPC' })) },
          QUICK,
        );
      const effects = effectsOf(await full(0));
      expect(effects).toBeGreaterThan(10);
      await node.uninstall();
      for (let from = 1; from <= effects; from += 2) {
        const outcome = await full(from);
        expect(outcome).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('ENOSPC') });
        const theirs = node.read('00-multus.conf');
        const ours = node.read('00-multus.conflist');
        expect([theirs, ours].filter((text) => text !== undefined).map((text) => JSON.parse(text))).not.toEqual([]);
        await node.uninstall();
        expect(node.files()).toEqual(before);
      }
    }),
    600_000,
  );
});

describe('braid install --multus --watch', () => {
  it(
    'follows the network of the node: it appears, changes, is half written, gives way to another, goes',
    onNode(async (node) => {
      await node.linkPrograms();
      const watcher = node.watch();
      await eventually(async () => watcher.said().includes('to wrap'), true);
      expect(node.read('00-multus.conflist')).toBeUndefined();
      node.write('10-a.conflist', network('a'));
      await eventually(async () => node.wrapped(), ['a']);
      node.write('10-a.conflist', '');
      await eventually(async () => watcher.said().includes('cannot wrap'), true);
      expect(node.wrapped()).toEqual(['a']);
      node.write('10-a.conflist', network('b'));
      await eventually(async () => node.wrapped(), ['b']);
      node.write('05-c.conf', JSON.stringify({ cniVersion: '0.3.1', name: 'c', type: 'ptp' }));
      await eventually(async () => node.wrapped('00-multus.conf'), ['c']);
      await eventually(async () => node.read('00-multus.conflist'), undefined);
      rmSync(join(node.confDir, '05-c.conf'));
      await eventually(async () => node.wrapped(), ['b']);
      rmSync(join(node.confDir, '10-a.conflist'));
      await eventually(async () => watcher.said().split('to wrap').length, 3);
      expect(node.wrapped()).toEqual(['b']);
      expect(await watcher.end()).toBe(0);
      expect(node.wrapped()).toEqual(['b']);
    }),
  );

  it(
    'follows the token, and brings back what others take away or overwrite',
    onNode(async (node) => {
      await node.linkPrograms();
      node.write('10-a.conflist', network('a'));
      const watcher = node.watch('--whereabouts');
      await eventually(async () => node.wrapped(), ['a']);
      const kubeconfig = node.read('multus.d/multus.kubeconfig');
      node.rotate('token-2');
      await eventually(async () => node.read('multus.d/multus.token'), 'token-2');
      expect(node.read('multus.d/multus.kubeconfig')).toBe(kubeconfig);
      renameSync(join(node.confDir, '00-multus.conflist'), join(node.confDir, '00-multus.conflist.cilium_bak'));
      await eventually(async () => node.wrapped(), ['a']);
      node.write('00-multus.conflist', '');
      await eventually(async () => node.read('00-multus.conflist')?.includes('"a"'), true);
      rmSync(join(node.confDir, 'multus.d'), { recursive: true });
      await eventually(async () => node.read('multus.d/multus.token'), 'token-2');
      expect(await watcher.end()).toBe(0);
      expect(watcher.said()).not.toContain('token-2');
      rmSync(join(node.confDir, '00-multus.conflist.cilium_bak'));
      expect(await node.uninstall()).toMatchObject(DONE);
      // an empty file is what somebody had put over ours
      expect(Object.keys(node.files())).toEqual(['00-multus.conflist', '10-a.conflist']);
    }),
  );

  it(
    'never shows a part of a configuration to those who read it while the network changes under it',
    onNode(async (node) => {
      await node.linkPrograms();
      node.write('10-a.conflist', network('a'));
      const watcher = node.watch('--interval', '1');
      await eventually(async () => node.wrapped(), ['a']);
      for (let round = 0; round < 200; round++) {
        node.write('10-a.conflist', round % 3 === 0 ? '' : network(`a${round}`));
        expect(node.wrapped()).toHaveLength(1); // fails where it is no JSON
        await new Promise((resolve) => setImmediate(resolve));
      }
      node.write('10-a.conflist', network('last'));
      await eventually(async () => node.wrapped(), ['last']);
      const { mtimeMs } = statSync(join(node.confDir, '00-multus.conflist'));
      node.write('zz-unrelated', 'x');
      node.rotate('token-3');
      await eventually(async () => node.read('multus.d/multus.token'), 'token-3');
      expect(statSync(join(node.confDir, '00-multus.conflist')).mtimeMs).toBe(mtimeMs);
      await watcher.end();
    }),
  );

  it(
    'restores the node at its end where it is told to',
    onNode(async (node) => {
      await node.linkPrograms();
      fill(node);
      const before = node.files();
      const watcher = node.watch('--cleanup-config-on-exit', '--rename-conf-file');
      await eventually(async () => [node.wrapped(), node.read('10-a.conflist')], [['a'], undefined]);
      expect(await watcher.end()).toBe(0);
      expect(node.files()).toEqual(before);
    }),
  );
});
