/** Each request of each call goes wrong in each way once: nothing is doubled, lost, or left. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Outcome } from '../lab/execute.ts';
import { errorOf } from '../lab/printed.ts';
import { roundsOf } from '../lab/rounds.ts';
import { type Attachment, CallingNode, givenBy } from './calling-node.ts';
import { contentsOf, faultsIn } from './checker.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { FAULTS, type Fault, FaultProxy } from './fault-proxy.ts';
import { applyCrds, applyRbac } from './manifests.ts';
import { serviceAccountToken } from './objects.ts';

const RANGES = ['10.7.0.0/24', '10.7.1.0/24'];
/** A deletion that was given up is not tried again at once. */
const LONGEST_SWEEPS = 60;

let cluster: Cluster;
let proxy: FaultProxy;
let kubeconfig: string;

beforeAll(async () => {
  cluster = await startCluster();
  await Promise.all([applyCrds(cluster), applyRbac(cluster)]);
  proxy = await FaultProxy.open(cluster);
  const token = await serviceAccountToken(cluster, 'braid-whereabouts');
  kubeconfig = cluster.kubeconfig('faulty', { token, namespace: 'kube-system', url: proxy.url });
});

afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
});

const OLD: Attachment = { id: 'old', pod: 'web-0', ifname: 'net1' };
const NEW: Attachment = { ...OLD, id: 'new' };

/** What is called, after what, and which attachments may have something afterwards. */
const CALLS = {
  ADD: { before: [], verb: 'ADD', of: OLD },
  'ADD again': { before: [OLD], verb: 'ADD', of: OLD },
  'ADD of the next container': { before: [OLD], verb: 'ADD', of: NEW },
  DEL: { before: [OLD], verb: 'DEL', of: OLD },
  'DEL of what never was': { before: [], verb: 'DEL', of: OLD },
} as const;

const isKilled = (fault: Fault): boolean => fault.startsWith('killed');

async function settled(node: CallingNode, given: readonly string[]): Promise<readonly string[]> {
  for (let sweeps = 1; ; sweeps++) {
    await node.sweep();
    const faults = faultsIn(await contentsOf(cluster), given);
    if (faults.length === 0 || sweeps === LONGEST_SWEEPS) {
      return faults;
    }
    await sleep(250);
  }
}

/** @returns the outcome, and how many requests it made */
async function faulty(
  node: CallingNode,
  { verb, of }: (typeof CALLS)[keyof typeof CALLS],
  at: number,
  fault: Fault | undefined,
): Promise<readonly [Outcome, number]> {
  let kill = (): void => undefined;
  proxy.expect(
    (number) => (number === at ? fault : undefined),
    () => kill(),
  );
  const outcome = await node.call(verb, of, { onStart: (one) => (kill = one) });
  const { requests } = proxy;
  proxy.expect(() => undefined);
  return [outcome, requests];
}

/** The other calls begin or end as these do. */
const MAIN = ['ADD', 'DEL'];
const wantedCalls = Object.entries(CALLS).filter(([name]) => roundsOf(0, 1) > 0 || MAIN.includes(name));

describe.each(wantedCalls)('%s', (_, wanted) => {
  it.each(FAULTS)('each of its requests is %s once', { timeout: 600_000 }, async (fault) => {
    for (let at = 1; ; at++) {
      using node = new CallingNode(kubeconfig, RANGES);
      for (const attachment of wanted.before) {
        expect(await node.call('ADD', attachment)).toMatchObject({ exitCode: 0 });
      }
      const [outcome, requests] = await faulty(node, wanted, at, fault);
      const where = `request ${at} of ${requests}: ${outcome.stdout}${outcome.stderr}`;
      if (outcome.signal !== undefined) {
        expect([isKilled(fault), outcome.signal], where).toEqual([true, 'SIGKILL']);
      } else if (outcome.exitCode !== 0) {
        expect([11, 999], where).toContain(errorOf(outcome).code);
        expect(wanted.verb, 'a pod can always go').toBe('ADD');
      }
      // A runtime whose ADD has not ended well deletes, and so it does in the end with every container that it knows.
      const isGiven = wanted.verb === 'ADD' && outcome.exitCode === 0;
      if (isGiven) {
        const given = givenBy(outcome, wanted.of);
        expect(given).toHaveLength(RANGES.length);
        expect(await settled(node, given), where).toEqual([]);
      }
      for (const attachment of [OLD, NEW]) {
        expect(await node.call('DEL', attachment), where).toMatchObject({ exitCode: 0 });
      }
      expect(await settled(node, []), where).toEqual([]);
      if (requests < at) {
        expect(at, 'a call without requests cannot fail').toBeGreaterThan(1);
        return;
      }
    }
  });
});
