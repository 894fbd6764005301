/** The chart in a cluster: installed, upgraded, rolled back and uninstalled, beside CRDs that somebody else has brought. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { CHART, type Helm, helm } from '../build/chart.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { apply, type Manifest } from './manifests.ts';
import { expectSuccess } from './request.ts';

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const NADS = 'network-attachment-definitions.k8s.cni.cncf.io';
const DAEMONSET = '/apis/apps/v1/namespaces/kube-system/daemonsets/braid-node';
const DEPLOYMENT = '/apis/apps/v1/namespaces/kube-system/deployments/braid-controller';

interface Stored {
  readonly metadata: { readonly annotations?: object; readonly generation: number };
  readonly spec: {
    readonly replicas?: number;
    readonly template: { readonly spec: { readonly containers: readonly [{ readonly args: readonly string[] }] } };
  };
}

/** With the kubeconfig of an administrator. */
function release(cluster: Cluster) {
  const login = ['--kubeconfig', cluster.kubeconfig('admin'), '--namespace', 'kube-system'];
  return (...words: readonly string[]): Helm => {
    const outcome = helm(...words, ...login);
    expect(outcome.exitCode, outcome.stderr).toBe(0);
    return outcome;
  };
}

const argsOf = async ({ send }: Cluster): Promise<readonly string[]> =>
  (await expectSuccess<Stored>(send(DAEMONSET))).spec.template.spec.containers[0].args;

describe('the chart in a cluster', () => {
  it('is installed, upgraded and rolled back; CRDs of others stay as they are, and all of them outlive it', async () => {
    await using cluster = await startCluster();
    const run = release(cluster);
    const file = join(import.meta.dirname, '../../bundle/deploy/multus-crds.yaml');
    const theirs = load(readFileSync(file, 'utf8')) as Manifest;
    await apply(cluster, theirs);

    run('install', 'braid', CHART);
    const first = await argsOf(cluster);
    expect(first).toContain('--whereabouts');
    run('upgrade', 'braid', CHART, '--set', 'multus.namespaceIsolation=true,controller.replicas=3');
    expect(await argsOf(cluster)).toEqual([...first, '--namespace-isolation']);
    expect((await expectSuccess<Stored>(cluster.send(DEPLOYMENT))).spec.replicas).toBe(3);
    run('rollback', 'braid', '1');
    expect(await argsOf(cluster)).toEqual(first);

    const owned = async (name: string): Promise<boolean> =>
      'meta.helm.sh/release-name' in
      ((await expectSuccess<Stored>(cluster.send(`${CRDS}/${name}`))).metadata.annotations ?? {});
    expect(await owned('ippools.whereabouts.cni.cncf.io')).toBe(true);
    expect(await owned(NADS)).toBe(false);

    run('uninstall', 'braid', '--no-hooks'); // the Job of the hook would wait for a kubelet
    expect((await cluster.send(DAEMONSET)).status).toBe(404);
    expect(await owned('ippools.whereabouts.cni.cncf.io')).toBe(true);
    run('install', 'braid', CHART);
    expect(await argsOf(cluster)).toEqual(first);
  });
});
