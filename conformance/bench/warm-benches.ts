/** Calls in one process that has served others before. */
import type { Bench } from './bench.ts';
import { manyPods, networkChain, type Tools } from './subjects.ts';
import { manyNetworks, oneNetwork, type WarmServer, warmPods, warmServer } from './warm.ts';
import { loopDelay } from './warm-loop.ts';

export async function warmPod(tools: Tools, networks: number, targets: { readonly add?: number } = {}): Promise<Bench> {
  const warm = await warmServer(tools);
  const line = (verb: 'add' | 'del', subject: string) =>
    ({ ours: [subject, verb], peer: ['go', verb], how: 'ratio', unit: 'ms' }) as const;
  return {
    name: `warm-${networks}`,
    about: `one process that serves calls: multus with ${networks} macvlan + whereabouts ÷ ${networks} calls of Go macvlan + host-local`,
    subjects: {
      multus: warmPods(warm, tools, 1, manyNetworks(tools, networks)),
      ...(networks === 1 ? { macvlan: warmPods(warm, tools, 1, oneNetwork(tools)) } : {}),
      go: networkChain('go', tools, networks),
    },
    lines: [
      ...(networks === 1
        ? [
            { ...line('add', 'macvlan'), title: 'ADD without multus ÷ Go' },
            { ...line('del', 'macvlan'), title: 'DEL without multus ÷ Go' },
          ]
        : []),
      {
        ...line('add', 'multus'),
        title: `ADD ÷ ${networks} × Go`,
        ...(targets.add === undefined ? {} : { target: targets.add }),
      },
      { ...line('del', 'multus'), title: `DEL ÷ ${networks} × Go` },
    ],
    warmUp: 5,
    close: () => closeWarm(warm),
  };
}

export async function warmSinglePods(tools: Tools): Promise<Bench> {
  const warm = await warmServer(tools);
  const pods = 32;
  return {
    name: `warm-pods-${pods}`,
    about: `one process that serves ${pods} pods at once, one network each ÷ as many Go programs`,
    subjects: {
      braid: warmPods(warm, tools, pods, oneNetwork(tools)),
      go: manyPods('go', tools, pods),
    },
    lines: [
      {
        title: `${pods} × ADD ÷ Go`,
        ours: ['braid', 'add'],
        peer: ['go', 'add'],
        how: 'ratio',
        unit: 'ms',
        target: 0.25,
      },
      {
        title: `${pods} × DEL ÷ Go`,
        ours: ['braid', 'del'],
        peer: ['go', 'del'],
        how: 'ratio',
        unit: 'ms',
        target: 0.3,
      },
    ],
    warmUp: 2,
    part: 0.5,
    close: () => closeWarm(warm),
  };
}

export async function warmManyPods(
  tools: Tools,
  pods: number,
  networks: number,
  part: number,
  targets: { readonly add?: number; readonly del?: number } = {},
): Promise<Bench> {
  const warm = await warmServer(tools);
  const line = (figure: string) => ({ ours: ['braid', figure], how: 'value' }) as const;
  return {
    name: `warm-pods-${pods}x${networks}`,
    about: `one process that serves ${pods} pods at once, ${networks} networks each`,
    subjects: { braid: warmPods(warm, tools, pods, manyNetworks(tools, networks)) },
    lines: [
      {
        ...line('add'),
        title: 'ADD until the last is done',
        unit: 'ms',
        ...(targets.add === undefined ? {} : { target: targets.add }),
      },
      {
        ...line('del'),
        title: 'DEL until the last is done',
        unit: 'ms',
        ...(targets.del === undefined ? {} : { target: targets.del }),
      },
      { ...line('memory'), title: 'memory', unit: 'MiB', target: 150 },
    ],
    warmUp: 2,
    part,
    close: () => closeWarm(warm),
  };
}

export async function warmLoop(tools: Tools): Promise<Bench> {
  const warm = await warmServer(tools);
  return {
    name: 'warm-loop',
    about:
      'how late the event loop of that process is while another process deletes 100 links at once, each in a namespace',
    subjects: { braid: await loopDelay(tools, warm) },
    lines: [
      { title: '99th percentile', ours: ['braid', 'p99'], how: 'value', unit: 'ms', target: 50 },
      { title: 'longest', ours: ['braid', 'longest'], how: 'value', unit: 'ms' },
      { title: 'ADDs meanwhile', ours: ['braid', 'adds'], how: 'value', unit: 'calls' },
    ],
    part: 0.25,
    close: () => warm.close(),
  };
}

/** Ends it, and says where the time of its calls went. */
export async function closeWarm(warm: WarmServer): Promise<void> {
  console.error(await warm.spansText());
  await warm.close();
}
