/** Pods come and go on several nodes while calls are killed, requests go wrong and the servers stop: nothing is doubled. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { execute } from '../lab/execute.ts';
import { STANDALONE } from '../lab/programs.ts';
import { Random, SEED } from '../lab/random.ts';
import { roundsOf, seeded } from '../lab/rounds.ts';
import { CallingNode } from './calling-node.ts';
import { contentsOf, faultsIn } from './checker.ts';
import { Churn } from './churn.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { FAULTS, FaultProxy } from './fault-proxy.ts';
import { applyCrds, applyRbac } from './manifests.ts';
import { serviceAccountToken } from './objects.ts';

const ROUNDS = roundsOf(120, 300);
const PHASES = 4;
const NODES = 4;
const RANGES = ['10.7.0.0/25', '10.7.1.0/25'];
const FAULTY = 0.04;
const STANDSTILL_MS = 1500;
const LONGEST_SWEEPS = 120;
const PAUSE_MS = 500;

/** What nobody may see at any moment. */
const isGrave = (fault: string): boolean => !fault.startsWith('left');

it(`${seeded(ROUNDS)}: no address is doubled, lost or left`, { timeout: 3_000_000 }, async () => {
  await using cluster = await startCluster();
  await Promise.all([applyCrds(cluster), applyRbac(cluster)]);
  await using proxy = await FaultProxy.open(cluster);
  const token = await serviceAccountToken(cluster, 'braid-whereabouts');
  const kubeconfig = cluster.kubeconfig('churn', { token, namespace: 'kube-system', url: proxy.url });
  using all = new DisposableStack();
  const nodes = Array.from({ length: NODES }, () => all.use(new CallingNode(kubeconfig, RANGES)));
  const churn = new Churn(nodes, 'web', { killing: 0.2 });
  const random = new Random(SEED);
  const faults = FAULTS.filter((fault) => !fault.startsWith('killed'));
  let rounds = 0;
  for (let phase = 0; phase < PHASES; phase++) {
    proxy.expect(() => (random.chance(FAULTY) ? random.pick(faults) : undefined));
    const end = Math.ceil((ROUNDS * (phase + 1)) / PHASES);
    const running = churn.run(() => rounds++ < end);
    await trouble(cluster, phase);
    await running;
    proxy.expect(() => undefined);
    expect(faultsIn(await contentsOf(cluster), churn.given).filter(isGrave), `phase ${phase}`).toEqual([]);
  }
  await churn.end();
  await swept(cluster, nodes);
  expect(await contentsOf(cluster)).toEqual({ entries: [], reservations: [], containers: [] });
  console.log(`${seeded(ROUNDS)}: ${JSON.stringify(churn.count)}`);
  expect(churn.count.killed).toBeGreaterThan(0);
  expect(churn.count.added).toBeGreaterThan(ROUNDS / 10);
});

/** The servers in the middle of it: one stands still, the other dies. */
async function trouble(cluster: Cluster, phase: number): Promise<void> {
  if (phase === 1) {
    cluster.etcd.pause();
    await sleep(STANDSTILL_MS);
    cluster.etcd.resume();
  }
  if (phase === 2) {
    await cluster.restart('kill');
  }
}

/** What nodes give back by themselves, and then what nobody but the cluster knows of: reservations without a pool. */
async function swept(cluster: Cluster, nodes: readonly CallingNode[]): Promise<void> {
  for (let sweeps = 0; sweeps < LONGEST_SWEEPS && (await contentsOf(cluster)).entries.length > 0; sweeps++) {
    await Promise.all(nodes.map((node) => node.sweep()));
    await sleep(PAUSE_MS);
  }
  await Promise.all(nodes.map((node) => node.sweep()));
  const { entries, reservations } = await contentsOf(cluster);
  expect(entries).toEqual([]);
  console.log(`reservations that nodes have left: ${reservations.length}`);
  expect(reservations.length).toBeLessThan(4 + ROUNDS / 100);
  const kubeconfig = cluster.kubeconfig('sweeper', { token: cluster.token, namespace: 'kube-system' });
  const places = ['--conf-dir', cluster.folder, '--cache-dir', cluster.folder, '--data-dir', cluster.folder];
  const check = ['ipam', 'check', '--kubeconfig', kubeconfig, '--cri', 'none', '--wait', '1', ...places];
  await execute([join(STANDALONE, 'braid'), ...check, '--repair']);
}
