/** Nodes with the Go plugin and nodes with ours on the same pools, at the same time. */
import { expect, it } from 'vitest';
import { roundsOf, seeded } from '../lab/rounds.ts';
import { installWhereabouts } from '../peers/peers.ts';
import { CallingNode } from './calling-node.ts';
import { contentsOf, faultsIn } from './checker.ts';
import { Churn } from './churn.ts';
import { startCluster } from './cluster.ts';
import { applyCrds } from './manifests.ts';

const SECONDS = roundsOf(20, 60);
const RANGES = ['10.7.0.0/26'];
const NODES = 3;

const isGrave = (fault: string): boolean => !fault.startsWith('left');

/** Noise: calls of Go's fail now and then by themselves, and none of a hundred says nothing about the next ones. */
const TOLERATED = 0.05;

it(`${seeded(SECONDS)}: no address is doubled in so many seconds, and ours do not starve Go's calls`, {
  timeout: 3_000_000,
}, async () => {
  const go = installWhereabouts();
  await using cluster = await startCluster();
  await applyCrds(cluster);
  const kubeconfig = cluster.kubeconfig('mixed', { token: cluster.token, namespace: 'kube-system' });
  using all = new DisposableStack();
  const nodesWith = (binaries?: string) =>
    Array.from({ length: NODES }, () => all.use(new CallingNode(kubeconfig, RANGES, binaries)));
  const during = async (churns: readonly Churn[], seconds: number): Promise<void> => {
    const end = performance.now() + seconds * 1000;
    await Promise.all(churns.map((churn) => churn.run(() => performance.now() < end)));
    const given = churns.flatMap((churn) => churn.given);
    expect(faultsIn(await contentsOf(cluster), given).filter(isGrave)).toEqual([]);
    await Promise.all(churns.map((churn) => churn.end()));
  };
  const alone = new Churn(nodesWith(go), 'alone');
  await during([alone], SECONDS / 2);
  const [theirs, ours] = [new Churn(nodesWith(go), 'go'), new Churn(nodesWith(), 'ours')];
  await during([theirs, ours], SECONDS);
  console.log(
    JSON.stringify({ 'go alone': alone.count, 'go beside ours': theirs.count, 'ours beside go': ours.count }, null, 1),
  );
  const { entries, reservations } = await contentsOf(cluster);
  expect([entries, reservations]).toEqual([[], []]);
  expect(ours.failures).toEqual([]);
  expect(theirs.failedShare, theirs.failures.join('\n')).toBeLessThanOrEqual(2 * alone.failedShare + TOLERATED);
  expect(theirs.count.added).toBeGreaterThan(0);
});
