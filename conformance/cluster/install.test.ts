/** What the chart brings, in a cluster: the installer on a node, its rights, and its end. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { IN_POD, KeepingNode, network } from '../braid/keeping-node.ts';
import { eventually } from '../lab/eventually.ts';
import { type Env, execute, type Outcome } from '../lab/execute.ts';
import { STANDALONE } from '../lab/programs.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { apply, applyCrds, type Manifest } from './manifests.ts';
import { serviceAccountToken } from './objects.ts';
import { expectSuccess, senderTo } from './request.ts';

const CHART = join(import.meta.dirname, '../build/chart/default.yaml');
const NAME = 'kube-system/braid-node';
const DAEMONSET = '/apis/apps/v1/namespaces/kube-system/daemonsets/braid-node';

let cluster: Cluster;
let env: Env;

const objects = (loadAll(readFileSync(CHART, 'utf8')) as (Manifest | null)[]).filter((one) => one !== null);

beforeAll(async () => {
  cluster = await startCluster();
  await applyCrds(cluster);
  const { hostname, port } = new URL(cluster.url);
  env = { ...IN_POD, KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port };
});

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  for (const object of objects) {
    await apply(cluster, object);
  }
});

async function nodeOf(account: string): Promise<KeepingNode> {
  const node = new KeepingNode();
  writeFileSync(join(node.serviceAccount, 'ca.crt'), cluster.ca);
  node.rotate(await serviceAccountToken(cluster, account));
  node.write('10-a.conflist', network('a'));
  return node;
}

/** As in a pod: its credentials are where Kubernetes puts them. */
function inPod(node: KeepingNode, ...words: readonly string[]): Promise<Outcome> {
  const prepare =
    'mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io && ln -s "$0" /run/secrets/kubernetes.io/serviceaccount && exec "$@"';
  const argv = [
    'unshare',
    '-m',
    '--propagation',
    'slave',
    'sh',
    '-c',
    prepare,
    node.serviceAccount,
    join(STANDALONE, 'braid'),
    ...words,
  ];
  return execute(argv, { env });
}

/** As the controller that collects what belonged to an object: waits until it is going, and lets it go. */
async function release(path: string): Promise<void> {
  await eventually(async () => {
    const { metadata } = await expectSuccess<{ readonly metadata: object }>(cluster.send(path));
    return 'deletionTimestamp' in metadata;
  }, true);
  const body = { metadata: { finalizers: null } };
  await cluster.send(path, { method: 'PATCH', body, contentType: 'application/merge-patch+json' });
}

describe('the installer in a cluster', () => {
  it('writes a kubeconfig with which plugins may do what they need, and no more', async () => {
    await using node = await nodeOf('braid-node');
    const installed = await node.installWith(env, '--whereabouts', '--account', 'braid-plugins');
    expect(installed, installed.stderr).toMatchObject({ exitCode: 0 });
    const kubeconfig = join(node.confDir, 'whereabouts.d/whereabouts.kubeconfig');
    const shown = await execute([join(STANDALONE, 'braid'), 'ipam', 'show', '--kubeconfig', kubeconfig, '--json'], {
      env,
    });
    expect(shown, shown.stderr).toMatchObject({ exitCode: 0 });
    using send = senderTo({ ...cluster, token: node.read('multus.d/multus.token') ?? '' });
    const status = async (path: string, method?: 'DELETE'): Promise<number> =>
      (await send(path, method === undefined ? {} : { method })).status;
    const pods = '/api/v1/namespaces/default/pods';
    expect(await status(`${pods}/x`)).toBe(404);
    expect(await status('/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions/x')).toBe(404);
    const secrets = '/api/v1/namespaces/kube-system/secrets';
    const refused = [pods, '/api/v1/nodes', secrets, '/apis/apps/v1/daemonsets', DAEMONSET];
    expect(await Promise.all(refused.map((path) => status(path)))).toEqual([403, 403, 403, 403, 403]);
    expect(await status(DAEMONSET, 'DELETE')).toBe(403);
  });

  it('may look at itself and get tokens of the plugins, who may get none; they are bound to no pod', async () => {
    await using node = await nodeOf('braid-node');
    const installed = await node.installWith(env, '--account', 'braid-plugins');
    expect(installed, installed.stderr).toMatchObject({ exitCode: 0 });
    const token = node.read('multus.d/multus.token') ?? '';
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    expect(claims.sub).toBe('system:serviceaccount:kube-system:braid-plugins');
    expect(claims.exp - claims.iat).toBe(86_400);
    expect(Object.keys(claims['kubernetes.io']).sort()).toEqual(['namespace', 'serviceaccount']);
    const tokens = (account: string) => `/api/v1/namespaces/kube-system/serviceaccounts/${account}/token`;
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
    const status = async (as: string, account: string): Promise<number> => {
      using send = senderTo({ ...cluster, token: as });
      return (await send(tokens(account), { method: 'POST', body })).status;
    };
    const own = await serviceAccountToken(cluster, 'braid-node');
    expect([await status(own, 'braid-plugins'), await status(own, 'braid-node')]).toEqual([201, 403]);
    expect([await status(token, 'braid-plugins'), await status(token, 'braid-node')]).toEqual([403, 403]);
    using send = senderTo({ ...cluster, token: own });
    expect([(await send(DAEMONSET)).status, (await send('/api/v1/namespaces/default/pods/x')).status]).toEqual([
      200, 403,
    ]);
  });

  it('keeps the token of before, and says why, when it may get none', async () => {
    await using node = await nodeOf('braid-uninstall');
    expect((await node.installWith(env)).exitCode).toBe(0);
    const before = node.files();
    const outcome = await node.installWith(env, '--account', 'braid-plugins');
    expect(outcome).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(
        /cannot create serviceaccounts\/token "braid-plugins" in "kube-system".*forbidden/i,
      ),
    });
    expect(node.files()).toEqual(before);
  });

  it('leaves the node as it is when its pod ends, and gives it back when the release ends', async () => {
    await using node = await nodeOf('braid-node');
    const before = node.files();
    const words = ['--daemonset', NAME, '--address', '127.0.0.1:0'];
    const updated = node.watchWith(env, ...words);
    await eventually(async () => node.wrapped(), ['a']);
    const installed = node.files();
    expect(await updated.end()).toBe(0);
    expect(updated.said()).toContain('leaves the node as it is');
    expect(node.files()).toEqual(installed);

    const watcher = node.watchWith(env, ...words);
    await eventually(async () => /on port \d+/.test(watcher.said()), true);
    const [, port] = /on port (\d+)/.exec(watcher.said()) ?? [];
    await eventually(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status, 200);
    await using job = await nodeOf('braid-uninstall');
    const controller = '/apis/apps/v1/namespaces/kube-system/deployments/braid-controller';
    const everything = ['--daemonset', NAME, '--deployment', 'kube-system/braid-controller'];
    const uninstall = inPod(job, 'uninstall', ...everything);
    await release(controller);
    await eventually(async () => {
      const { metadata } = await expectSuccess<{ readonly metadata: object }>(cluster.send(DAEMONSET));
      return 'deletionTimestamp' in metadata;
    }, true);
    expect(await watcher.end(), watcher.said()).toBe(0);
    expect(node.files()).toEqual(before);
    expect(readdirSync(node.bin)).toEqual([]);
    await release(DAEMONSET);
    expect(await uninstall).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('is gone') });
    const again = await inPod(job, 'uninstall', ...everything);
    expect(again).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('nothing to do') });
  });

  it('leaves the node as it is when it cannot tell', async () => {
    await using node = await nodeOf('braid-node');
    const watcher = node.watchWith(env, '--daemonset', 'default/braid-node');
    await eventually(async () => node.wrapped(), ['a']);
    const installed = node.files();
    expect(await watcher.end()).toBe(0);
    expect(watcher.said()).toContain('cannot tell whether DaemonSet "default/braid-node" is deleted');
    expect(node.files()).toEqual(installed);
  });
});
