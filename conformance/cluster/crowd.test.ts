/** Many pods with many networks at once: a call for each pod, 16 callers on 8 nodes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE_ENV, execute, inParallel } from '../lab/execute.ts';
import { STANDALONE } from '../lab/programs.ts';
import { ResidentForm } from '../lab/resident.ts';
import { roundsOf } from '../lab/rounds.ts';
import { contentsOf, faultsIn } from './checker.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { applyCrds, applyRbac } from './manifests.ts';
import { serviceAccountToken } from './objects.ts';

const PODS = roundsOf(24, 32);
const NETWORKS = 16;
const CALLERS = 16;
const NODES = 8;

const folder = mkdtempSync(join(tmpdir(), 'braid-crowd-'));
/** How calls are done on each of the nodes. */
const forms = Array.from({ length: NODES }, () => new ResidentForm([], { prefix: 'braid-crowd', dir: folder }));
let cluster: Cluster;
let kubeconfig: string;

beforeAll(async () => {
  cluster = await startCluster();
  await Promise.all([applyCrds(cluster), applyRbac(cluster)]);
  const token = await serviceAccountToken(cluster, 'braid-whereabouts');
  kubeconfig = cluster.kubeconfig('crowd', { token, namespace: 'kube-system' });
});

afterAll(async () => {
  for (const form of forms) {
    form[Symbol.dispose]();
  }
  await cluster?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** As many addresses as are wanted, and not one more. */
const exactly = (count: number): string => {
  const last = [Math.floor(count / 256), count % 256].join('.');
  return `10.9.0.1-10.9.${last}/16`;
};

const CASES: readonly (readonly [string, (network: number) => string])[] = [
  ['one range', () => '10.8.0.0/16'],
  ['one range that only just fits', () => exactly(PODS * NETWORKS)],
  ['a range for each network', (network) => `10.${16 + network}.0.0/16`],
];

describe.each(CASES)('in %s', (title, rangeOf) => {
  it(`${PODS} pods with ${NETWORKS} networks each`, { timeout: 1_200_000 }, async () => {
    const call = async (verb: string, pod: number) => {
      const node = (pod % CALLERS) % NODES;
      const place = await forms[node]?.at();
      const ipamOf = (network: number) => ({
        type: 'whereabouts',
        range: rangeOf(network),
        kubernetes: { kubeconfig },
        data_dir: join(folder, `node${node}`),
      });
      const delegates = Array.from({ length: NETWORKS }, (_, network) => ({
        cniVersion: '1.0.0',
        name: `net${network}`,
        type: 'whereabouts',
        ipam: ipamOf(network),
      }));
      return execute([join(place?.bin ?? STANDALONE, 'multus')], {
        stdin: JSON.stringify({
          cniVersion: '1.0.0',
          name: 'crowd',
          type: 'multus',
          binDir: STANDALONE,
          cniDir: join(folder, `multus${node}`),
          logToStderr: false,
          delegates,
        }),
        env: {
          ...BASE_ENV,
          CNI_COMMAND: verb,
          CNI_CONTAINERID: `c${pod}`,
          CNI_NETNS: '/proc/self/ns/net',
          CNI_NETNS_OVERRIDE: '1',
          CNI_IFNAME: 'crowd0', // nobody makes it
          CNI_PATH: STANDALONE,
          CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=p${pod}`,
          ...place?.env,
        },
      });
    };
    const all = (verb: string) =>
      inParallel(
        Array.from({ length: PODS }, (_, pod) => pod),
        CALLERS,
        async (pod) => {
          const { exitCode, stdout } = await call(verb, pod);
          expect(exitCode, `${title}: ${verb} ${pod}: ${stdout}`).toBe(0);
        },
      );
    await all('ADD');
    const contents = await contentsOf(cluster);
    expect(contents.entries).toHaveLength(PODS * NETWORKS);
    expect(faultsIn(contents, contents.entries)).toEqual([]);
    await all('DEL');
    expect(await contentsOf(cluster)).toEqual({ entries: [], reservations: [], containers: [] });
  });
});
