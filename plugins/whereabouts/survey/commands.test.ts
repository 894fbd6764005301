import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { WrongUsage } from '../../../lib/cli/options.ts';
import type { JsonObject } from '../../../lib/cni/json.ts';
import { fakeScope } from '../../../lib/cni/testing/fake-scope.ts';
import { openDatabase } from '../../../lib/sys/database.ts';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import { SqliteJournal } from '../cluster/sqlite-journal.ts';
import { examine } from '../examine.ts';
import { exportStore } from '../export.ts';
import { show } from '../show.ts';
import { FakeKube } from '../testing/fake-kube.ts';
import { kubeconfigTo, type Refusals, serveKube } from '../testing/kube-http.ts';
import { CALLER } from '../testing/steps.ts';
import { putNad, putPool, putSlices } from '../testing/surveyed.ts';

const RANGE = '10.0.0.0/24';

/** A node with a network in a cluster. */
async function withCluster(
  work: (node: {
    readonly kube: FakeKube;
    readonly folder: string;
    readonly kubeconfig: string;
    readonly conf: JsonObject;
    readonly lines: string[];
    readonly run: (
      command: typeof show,
      ...args: readonly string[]
    ) => Promise<{ code: number; out: readonly string[] }>;
  }) => Promise<void>,
  { refusals, token }: { readonly refusals?: Refusals; readonly token?: string } = {},
): Promise<void> {
  using folder = temporaryFolder();
  const kube = new FakeKube();
  await using server = await serveKube(kube, refusals);
  const [confDir, cacheDir, dataDir] = ['conf', 'cache', 'data'].map((name) => join(folder.path, name));
  mkdirSync(confDir as string);
  const kubeconfig = kubeconfigTo(server.url, folder.path, token);
  const ipam = {
    type: 'whereabouts',
    range: RANGE,
    gateway: '10.0.0.1',
    exclude: ['10.0.0.1'],
    kubernetes: { kubeconfig },
    data_dir: dataDir as string,
  };
  const conf = { cniVersion: '1.0.0', name: 'net-a', type: 'macvlan', ipam };
  writeFileSync(join(confDir as string, '10.conf'), JSON.stringify(conf));
  const lines: string[] = [];
  const scope = fakeScope({ log: (line) => lines.push(line) });
  await work({
    kube,
    folder: folder.path,
    kubeconfig,
    conf,
    lines,
    run: async (command, ...args) => {
      const out: string[] = [];
      const places = command === show ? ['--conf-dir', confDir as string, '--cache-dir', cacheDir as string] : [];
      return { code: await command([...args, ...places], scope, (line) => out.push(line)), out };
    },
  });
}

const ours = (folder: string) => ({ dataDir: join(folder, 'data') });

describe('braid ipam show', () => {
  it('shows the pools of the cluster that a configuration leads to, in table, picture and JSON', () =>
    withCluster(async ({ kube, kubeconfig, run }) => {
      putPool(kube, '10.0.0.0-24', RANGE, { 2: 'lab/a net1 idA' });
      const { out } = await run(show);
      expect(out[0]).toMatch(/^POOL +RANGE +ADDRESSES +TAKEN +STATIC +EXCLUDED +FREE +USED$/);
      expect(out.find((line) => line.startsWith('10.0.0.0-24'))).toMatch(/ 256 +1 +1 +2 +252 +0 %$/);
      expect(out.some((line) => line.includes('  10.0.0.0    xS#'))).toBe(true);
      const all = JSON.parse((await run(show, '--json')).out.join('\n')) as readonly object[];
      expect(all).toContainEqual(
        expect.objectContaining({
          pool: '10.0.0.0-24',
          kubeconfig,
          namespace: 'kube-system',
          networkName: '',
          taken: [{ address: '10.0.0.2', id: 'idA', podref: 'lab/a', ifname: 'net1' }],
        }),
      );
    }));

  it('names nodes, slices, and what cannot be read or asked for', () =>
    withCluster(
      async ({ kube, run, lines, folder }) => {
        putSlices(kube, 'blue', '10.40.0.0/24', 'w-7 10.40.0.64/26', '- 10.40.0.128/26');
        putPool(kube, 'blue-w-7-10.40.0.64-26', '10.40.0.64/26', { 1: 'lab/a net1 idA', x: 'lab/b net1 idB' });
        const svg = join(folder, 'pools.svg');
        const { code, out } = await run(show, '--svg', svg);
        expect(code).toBe(0);
        expect(out[0]).toMatch(/^POOL +RANGE +NODE /);
        expect(out.find((line) => line.startsWith('blue-w-7-'))).toMatch(/10\.40\.0\.64\/26 +w-7 /);
        expect(out).toContain('slices of "blue": 10.40.0.0/24 in parts of /26, 1 of 2 parts for nodes');
        expect(out).toContain('key "x" of lab/b is no address: others drop it when they write the pool');
        const named = await run(show, '10.40.0.64/26@w-7');
        expect(named.out.filter((line) => line.startsWith('blue-w-7-')).length).toBe(2);
        expect(readFileSync(svg, 'utf8')).toContain('blue-w-7-10.40.0.64-26: 1 taken');
        expect(lines.slice(0, 1)).toEqual([
          expect.stringContaining('what is excluded is known from configurations of this machine only'),
        ]);
      },
      { refusals: { 'list network-attachment-definitions': 403 } },
    ));

  it('asks a cluster once, however it is named, and fails when one cannot be asked', () =>
    withCluster(async ({ kube, run, kubeconfig, lines }) => {
      putPool(kube, '10.0.0.0-24', RANGE, {});
      const { out } = await run(show, '--kubeconfig', kubeconfig);
      expect(out.filter((line) => line.startsWith('10.0.0.0-24 '))).toHaveLength(1);
      expect((await run(show, '--kubeconfig', '/missing')).code).toBe(1);
      expect(lines).toEqual(['cannot read "/missing": ENOENT (no such file or directory)']);
      expect((await run(show, '--in-cluster')).code).toBe(1);
      expect(lines.at(-1)).toContain('KUBERNETES_SERVICE_HOST');
    }));

  it('shows a pool of 4,000 addresses', () =>
    withCluster(async ({ kube, run }) => {
      const entries = Object.fromEntries(Array.from({ length: 4000 }, (_, at) => [at + 1, `lab/p${at} net1 id${at}`]));
      putPool(kube, '10.64.0.0-20', '10.64.0.0/20', entries);
      putNad(kube, 'n', { range: '10.64.0.0/20' });
      const { out } = await run(show, '10.64.0.0-20');
      expect(out.find((line) => line.startsWith('10.64.0.0-20 '))).toMatch(/ 4096 +4000 +0 +2 +94 +97 %$/);
    }));
});

describe('braid ipam export', () => {
  it('prints the pools of a cluster, slices with their nodes', () =>
    withCluster(async ({ kube, run, kubeconfig }) => {
      putSlices(kube, 'blue', '10.40.0.0/24', 'w-7 10.40.0.64/26');
      putPool(kube, 'blue-w-7-10.40.0.64-26', '10.40.0.64/26', { 1: 'lab/b net1 idB' });
      putPool(kube, '10.0.0.0-24', RANGE, { 2: 'lab/a net1 idA' });
      putPool(kube, '10.1.0.0-24', '10.1.0.0/24', {});
      const { out } = await run(exportStore, '--kubeconfig', kubeconfig);
      const reservation = (address: string, pod: string, containerId: string) => ({
        address,
        containerId,
        interface: 'net1',
        pod,
        network: '',
      });
      expect(JSON.parse(out.join('\n'))).toEqual({
        format: 1,
        networks: [
          { networkName: '', pools: [{ range: RANGE, reservations: [reservation('10.0.0.2', 'lab/a', 'idA')] }] },
          {
            networkName: 'blue',
            pools: [{ range: '10.40.0.64/26', node: 'w-7', reservations: [reservation('10.40.0.65', 'lab/b', 'idB')] }],
          },
        ],
      });
    }));

  it('is of one place, and whole', () =>
    withCluster(
      async ({ run, kubeconfig }) => {
        await expect(run(exportStore, '--kubeconfig', kubeconfig, '--data-dir', '/d')).rejects.toBeInstanceOf(
          WrongUsage,
        );
        await expect(run(exportStore, '--kubeconfig', kubeconfig)).rejects.toThrow('ippools is refused (403');
      },
      { refusals: { 'list ippools': 403 } },
    ));
});

describe('braid doctor', () => {
  const findings = async (conf: JsonObject) =>
    (await examine(fakeScope(), { confs: [conf], records: [], isGone: () => false })).filter(
      ({ text }) => !text.includes('/var/lib/cni'),
    );

  it('has nothing to say of a cluster that works', () =>
    withCluster(async ({ kube, conf }) => {
      putPool(kube, '10.0.0.0-24', RANGE, {});
      expect(await findings(conf)).toEqual([]);
    }));

  it.each([
    [{ everything: 401 }, 'has expired', 'write a valid token'],
    [{ 'list ippools': 403 }, 'ippools is refused', 'whereabouts-rbac.yaml'],
    [{ 'list ippools': 404 }, 'ippools is refused', 'whereabouts-crds.yaml'],
    [{ 'list overlappingrangeipreservations': 404 }, 'does not know overlappingrange', 'whereabouts-crds.yaml'],
    [{ 'list ippools': 500 }, 'ippools is refused', "API server's log"],
    [
      { 'patch ippools': 403, 'delete overlappingrangeipreservations': 403 },
      '2 rights in "kube-system" are missing (patch ippools, delete overlapping',
      'whereabouts-rbac.yaml',
    ],
  ] as readonly (readonly [Refusals, string, string])[])('says what is refused: %j', (refusals, text, fix) =>
    withCluster(
      async ({ conf }) => {
        expect(await findings(conf)).toEqual([
          { level: 'fault', text: expect.stringContaining(text), fix: expect.stringContaining(fix) },
        ]);
      },
      { refusals },
    ),
  );

  it('says that nothing listens, that a file is none, and that a token is too old', () =>
    withCluster(async ({ conf, kubeconfig, folder }) => {
      kubeconfigTo('http://127.0.0.1:1', folder);
      expect(await findings(conf)).toMatchObject([
        { text: expect.stringContaining('nothing listens'), fix: expect.stringContaining('this node reaches') },
      ]);
      writeFileSync(kubeconfig, '{');
      expect(await findings(conf)).toMatchObject([{ fix: expect.stringContaining('write the kubeconfig anew') }]);
      const claims = Buffer.from(JSON.stringify({ exp: 1 })).toString('base64url');
      kubeconfigTo('http://127.0.0.1:1', folder, `e30.${claims}.x`);
      expect((await findings(conf))[0]?.text).toContain('has expired (1970-01-01T00:00:01.000Z)');
    }));

  it('says that nodes of another namespace give the same addresses', () =>
    withCluster(async ({ conf, kube }) => {
      kube.put('ippools', { metadata: { name: 'x', namespace: 'other' }, spec: { range: RANGE } } as never);
      const found = await findings(conf);
      expect(found.map(({ text }) => text)).toContainEqual(
        expect.stringContaining('there are pools in namespace "other" as well as in "kube-system"'),
      );
    }));

  it('says what is still to be given back, and which pool is full', () =>
    withCluster(async ({ conf, kube, kubeconfig, folder }) => {
      using journal = new SqliteJournal({ ...ours(folder), kubeconfig }, openDatabase, CALLER);
      await journal.bury([{ networkName: '', id: 'idA', ifname: 'net1', ranges: undefined }], {
        afterMs: 0,
        isUnderWay: false,
      });
      putPool(kube, '10.9.0.0-30', '10.9.0.0/30', { 1: 'lab/a net1 a', 2: 'lab/b net1 b' });
      expect((await findings(conf)).map(({ level, text }) => [level, text])).toEqual([
        ['warning', expect.stringContaining('addresses of 1 deleted attachment are still to be given back')],
        ['fault', 'pool "10.9.0.0-30" is full: all 2 addresses are taken'],
      ]);
    }));
});
