/** Whole pods: what RunPodSandbox and StopPodSandbox of a container runtime take with our chain and with that of Go. */
import { join } from 'node:path';
import { runtimes } from '../containerd/install.ts';
import { makeNics } from '../containerd/networks.ts';
import { Site } from '../containerd/site.ts';
import type { Bench, Line } from './bench.ts';
import { goNetwork, multus, ourNetwork } from './confs.ts';
import { nicName } from './lab.ts';
import type { Sample, Subject, Tools } from './subjects.ts';

const CNI_VERSION = '1.0.0';
const CROWD = 20;
const VERBS = [
  ['run', 'RunPodSandbox'],
  ['stop', 'StopPodSandbox'],
] as const;

/** @param networks of each pod: several go through multus */
export async function containerd(tools: Tools, networks: number): Promise<Bench> {
  const sites = { braid: await siteOf('ours', tools, networks), go: await siteOf('go', tools, networks) };
  const version = await sites.braid.cri.version();
  return {
    name: `containerd-${networks}`,
    about: `pods of ${version} with ${networks} networks, beside the Go plugins and beside pods on the host's network`,
    subjects: {
      braid: pods(sites.braid),
      go: pods(sites.go),
      host: pods(sites.braid, { isOnHostNetwork: true }),
    },
    lines: [1, CROWD].flatMap((count) => VERBS.flatMap(([figure, verb]) => linesOf(networks, count, figure, verb))),
    part: 0.25,
    close: async () => {
      await sites.braid[Symbol.asyncDispose]();
      await sites.go[Symbol.asyncDispose]();
    },
  };
}

function linesOf(networks: number, count: number, figure: string, verb: string): readonly Line[] {
  const key = `${figure}${count}`;
  const panel = count === 1 ? `${verb}, one pod` : `${verb}, ${count} pods at once, until the last`;
  const row = networks === 1 ? '1 network' : `${networks} networks`;
  const title = count === 1 ? verb : `${count} × ${verb}`;
  return [
    {
      title: `${title} ÷ Go`,
      ours: ['braid', key],
      peer: ['go', key],
      how: 'ratio',
      unit: 'ms',
      picture: { panel, row },
    },
    {
      title: `${title} − host's network`,
      ours: ['braid', key],
      peer: ['host', key],
      how: 'difference',
      unit: 'ms',
      ...(networks === 1 ? { picture: { panel, row: "host's network" } } : {}),
    },
  ];
}

async function siteOf(side: 'ours' | 'go', { ours, peers, multus: goMultus }: Tools, networks: number): Promise<Site> {
  const programs = runtimes().at(-1);
  if (programs === undefined || goMultus === undefined) {
    throw new Error('needs a container runtime and the Go multus: run ./scripts/bench containerd');
  }
  const paths = {
    ours: ['macvlan', 'whereabouts', 'multus'].map((name) => join(ours, name)),
    go: [...['macvlan', 'host-local'].map((name) => join(peers, name)), join(goMultus, 'multus')],
  };
  const site = await Site.open(programs, { plugins: paths[side], cniVersion: CNI_VERSION });
  const numbers = Array.from({ length: networks }, (_, number) => number);
  await makeNics(site, numbers.map(nicName));
  const confs = numbers.map((number) => (side === 'ours' ? ourNetwork : goNetwork)(number, site.lab.dir));
  const [first = {}] = confs;
  await site.configure([networks === 1 ? first : multus(confs, site.bin, join(site.lab.dir, 'multus'))]);
  return site;
}

/** One pod, then a crowd. What is left of them goes while nothing is measured. */
function pods(site: Site, spec: { readonly isOnHostNetwork?: boolean } = {}): Subject {
  let started = 0;
  const measure = async (count: number): Promise<Sample> => {
    const names = Array.from({ length: count }, () => `pod-${started++}`);
    const begin = performance.now();
    const ids = await Promise.all(names.map((name) => site.cri.run({ name, ...spec })));
    const ran = performance.now();
    const stop = performance.now();
    await Promise.all(ids.map((id) => site.cri.stop(id)));
    const stopped = performance.now();
    await Promise.all(ids.map((id) => site.cri.remove(id)));
    return { [`run${count}`]: ran - begin, [`stop${count}`]: stopped - stop };
  };
  return async () => ({ ...(await measure(1)), ...(await measure(CROWD)) });
}
