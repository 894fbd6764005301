/**
 * What a user waits for: from the order to make a pod until it is ready, and until it is gone. Two clusters of one node,
 * one with our programs and one with those of Go; one of them stands idle while the other works.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expectSuccess } from '../cluster/request.ts';
import { Kubernetes } from '../kubernetes/kubernetes.ts';
import { applyNetwork, installMultus } from '../kubernetes/multus.ts';
import { macvlan } from '../kubernetes/networks.ts';
import { isReady, NETWORKS, type PodObject, podSpec } from '../kubernetes/pods.ts';
import { RAILS } from '../kubernetes/wires.ts';
import { installWhereabouts } from '../peers/peers.ts';
import type { Bench, Line } from './bench.ts';
import type { Sample, Subject, Tools } from './subjects.ts';

const COUNTS = [1, 8, 16] as const;
const MOST = Math.max(...COUNTS);
const PODS = '/api/v1/namespaces/default/pods';
const PAUSE_MS = 5;
const PATIENCE_MS = 120_000;
const NOT_FOUND = 404;

export async function podStart(tools: Tools): Promise<Bench> {
  await using stack = new AsyncDisposableStack();
  const braid = stack.use(await clusterOf(undefined));
  const go = stack.use(await clusterOf(goPrograms(tools)));
  const clusters = stack.move();
  return {
    name: 'pod-start',
    about: `a pod from its order to Ready, and from its deletion to its end, with ${COUNTS.join(', ')} macvlan networks by annotation`,
    subjects: {
      braid: pods(braid, COUNTS),
      go: pods(go, COUNTS),
      host: pods(braid, [0]),
    },
    lines: COUNTS.flatMap((count) => [...linesOf(count, 'start', 'Ready'), ...linesOf(count, 'end', 'gone')]),
    part: 0.5,
    close: () => clusters.disposeAsync(),
  };
}

function linesOf(count: number, figure: string, until: string): readonly Line[] {
  const panel = `Until a pod is ${until}`;
  const row = count === 1 ? '1 network' : `${count} networks`;
  return [
    {
      title: `${until}, ${row} ÷ Go`,
      ours: ['braid', `${figure}${count}`],
      peer: ['go', `${figure}${count}`],
      how: 'ratio',
      unit: 'ms',
      picture: { panel, row },
    },
    {
      title: `${until}, ${row} − host's network`,
      ours: ['braid', `${figure}${count}`],
      peer: ['host', `${figure}0`],
      how: 'difference',
      unit: 'ms',
      ...(count === MOST ? { picture: { panel, row: "host's network" } } : {}),
    },
  ];
}

const goPrograms = ({ peers, multus }: Tools): readonly string[] => [
  ...['loopback', 'macvlan'].map((name) => join(peers, name)),
  join(multus ?? peers, 'multus'),
  join(installWhereabouts(), 'whereabouts'),
];

/** @param programs of the node; undefined: ours */
async function clusterOf(programs: readonly string[] | undefined): Promise<Kubernetes> {
  const kubernetes = await Kubernetes.start({ multus: 'ours', ...(programs === undefined ? {} : { programs }) });
  try {
    await installMultus(kubernetes);
    kubernetes.letWhereaboutsDoAll(); // the Go one asks for more than our manifests grant
    for (let index = 0; index < MOST; index++) {
      const rail = RAILS[index % RAILS.length] ?? '';
      const config = { cniVersion: '0.3.1', ...macvlan(rail, `10.7.${index}.0/24`) };
      await applyNetwork(kubernetes, nameOf(index), config);
    }
    return kubernetes;
  } catch (error) {
    await kubernetes[Symbol.asyncDispose]();
    throw error;
  }
}

const nameOf = (index: number): string => `net-${index}`;

let made = 0;

/** Pods one after the other, with so many networks each; with none on the host's network. */
const pods =
  ({ cluster }: Kubernetes, counts: readonly number[]): Subject =>
  async () => {
    const sample: Record<string, number> = {};
    for (const count of counts) {
      const name = `pod-${++made}`;
      const networks = Array.from({ length: count }, (_, index) => nameOf(index)).join();
      const annotations = count === 0 ? {} : { [NETWORKS]: networks };
      const spec = { ...podSpec(), hostNetwork: count === 0 };
      const look = async () => cluster.send(`${PODS}/${name}`);
      sample[`start${count}`] = await timed(async () => {
        await expectSuccess(cluster.send(PODS, { method: 'POST', body: { metadata: { name, annotations }, spec } }));
        await untilSo(`${name} to be ready`, async () => isReady((await look()).body as PodObject));
      });
      sample[`end${count}`] = await timed(async () => {
        await expectSuccess(cluster.send(`${PODS}/${name}`, { method: 'DELETE' }));
        await untilSo(`${name} to be gone`, async () => (await look()).status === NOT_FOUND);
      });
    }
    return sample satisfies Sample;
  };

async function timed(work: () => Promise<void>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

async function untilSo(what: string, look: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!(await look())) {
    if (performance.now() > end) {
      throw new Error(`waited in vain for ${what}`);
    }
    await sleep(PAUSE_MS);
  }
}
