/** What NVIDIA's operator writes for rails, and others for pods on macvlan: each network a chain of four plugins. */

import { join } from 'node:path';
import type { Bench } from './bench.ts';
import { type Conf, multus } from './confs.ts';
import { labName, nicName, scratchOf } from './lab.ts';
import { countProcesses, type PluginCall, timeCall } from './program.ts';
import { deleted, type Side, type Subject, type Tools } from './subjects.ts';
import { warmPods, warmServer } from './warm.ts';
import { closeWarm } from './warm-benches.ts';

const CNI_VERSION = '1.0.0';

/** The same for both sides: macvlan + static, tuning, sbr. */
const chainNetwork = (network: number, side: Side): Conf => ({
  cniVersion: CNI_VERSION,
  name: `rail${network}`,
  plugins: [
    {
      type: 'macvlan',
      master: nicName(network),
      mode: 'bridge',
      ipam: {
        type: 'static',
        addresses: [{ address: `10.${72 + network}.0.2/16`, gateway: `10.${72 + network}.0.1` }],
      },
    },
    {
      type: 'tuning',
      mtu: 1400,
      sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1', 'net.ipv4.conf.IFNAME.rp_filter': '2' },
      dataDir: join(scratchOf(labName() ?? ''), `tuning-${side}`), // in memory, as /run is
    },
    { type: 'sbr' },
  ],
});

export function chainCall(
  side: Side,
  { lab, ours, peers, multus: goMultus = '' }: Tools,
  networks: number,
  pod: string,
): PluginCall {
  lab.wantNics(networks);
  const folder = join(lab.folder, `chain-${side}`);
  const delegates = Array.from({ length: networks }, (_, network) => chainNetwork(network, side));
  const path = side === 'ours' ? ours : peers;
  const program = join(side === 'ours' ? ours : goMultus, 'multus');
  return { verb: 'ADD', program, conf: multus(delegates, path, join(folder, 'multus')), path, pod, ifName: 'eth0' };
}

const chainedPod =
  (side: Side, tools: Tools, networks: number): Subject =>
  () => {
    const call = chainCall(side, tools, networks, tools.lab.newPod());
    const added = timeCall(call);
    return { add: added.ms, del: timeCall(deleted(call, added.stdout)).ms };
  };

const chainProcesses =
  (tools: Tools, networks: number): Subject =>
  () => {
    const call = chainCall('ours', tools, networks, tools.lab.newPod());
    const processes = countProcesses(call);
    timeCall({ ...call, verb: 'DEL' });
    return { processes };
  };

const line = (verb: 'add' | 'del') =>
  ({ ours: ['braid', verb], peer: ['go', verb], how: 'ratio', unit: 'ms' }) as const;
const titleOf = (networks: number): string => `multus with ${networks} × (macvlan + static + tuning + sbr)`;

/** Whole processes. */
export const chain = (tools: Tools, networks: number): Bench => ({
  name: 'chain',
  about: `${titleOf(networks)} ÷ Go multus with the Go plugins`,
  subjects: { braid: chainedPod('ours', tools, networks), go: chainedPod('go', tools, networks) },
  lines: [
    { ...line('add'), title: 'ADD ÷ Go', target: 0.4 },
    { ...line('del'), title: 'DEL ÷ Go', target: 0.3 },
  ],
});

export const chainStarts = (tools: Tools, networks: number): Bench => ({
  name: 'chain-processes',
  about: `processes of one ADD of ${titleOf(networks)}, as strace sees them`,
  subjects: { braid: chainProcesses(tools, networks) },
  lines: [{ title: 'processes', ours: ['braid', 'processes'], how: 'value', unit: 'processes', target: 1 }],
  warmUp: 0,
  part: 0.05,
});

/** In one process that has served others before. */
export async function warmChain(tools: Tools, networks: number): Promise<Bench> {
  const warm = await warmServer(tools);
  return {
    name: 'warm-chain',
    about: `one process that serves calls: ${titleOf(networks)} ÷ Go multus with the Go plugins`,
    subjects: {
      braid: warmPods(warm, tools, 1, (pod) => chainCall('ours', tools, networks, pod)),
      go: chainedPod('go', tools, networks),
    },
    lines: [
      { ...line('add'), title: 'ADD ÷ Go', target: 0.08 },
      { ...line('del'), title: 'DEL ÷ Go', target: 0.08 },
    ],
    warmUp: 5,
    close: () => closeWarm(warm),
  };
}
