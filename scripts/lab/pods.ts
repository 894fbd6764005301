/** Calls for the pods of the lab, and observations in them. */
import { spawnSync } from 'node:child_process';
import { callPlugin, type PluginAnswer } from './call.ts';
import { insideOf, ipJson } from './command.ts';
import { Failure } from './failure.ts';
import { type Conf, multusConf, NETWORKS, type Network, networkConf, PODS, type Pod, podNetns } from './lab.ts';

/** Calls multus for a pod. From version 0.4.0 on, CHECK and DEL get the result of ADD. */
export function callMultus(verb: 'ADD' | 'CHECK' | 'DEL', pod: Pod, prevResult?: Conf): PluginAnswer {
  const conf = { ...multusConf(), ...(prevResult === undefined ? {} : { prevResult }) };
  return callPlugin({ verb, conf, containerId: pod, netns: podNetns(pod), ifName: NETWORKS[0]?.ifName ?? '' });
}

export interface Attachment {
  readonly pod: Pod;
  readonly network: Network;
  readonly address: string;
  readonly mac: string;
}

interface LinkSeen {
  readonly ifname: string;
  readonly address: string;
  readonly operstate: string;
  readonly addr_info: readonly { readonly family: string; readonly local: string }[];
}

/**
 * The networks of a pod as reported by the kernel.
 *
 * @throws Failure when an interface is missing or has no address
 */
export function attachmentsOf(pod: Pod): readonly Attachment[] {
  const links = ipJson<LinkSeen>(podNetns(pod), 'address', 'show');
  return NETWORKS.map((network) => {
    const link = links.find(({ ifname }) => ifname === network.ifName);
    const address = link?.addr_info.find(({ family }) => family === 'inet')?.local;
    if (link === undefined || address === undefined) {
      throw new Failure(`${pod} has no ${link === undefined ? 'interface' : 'address on'} ${network.ifName} after ADD`);
    }
    return { pod, network, address, mac: link.address };
  });
}

export interface Ping {
  readonly from: Attachment;
  readonly to: Attachment;
  readonly rttMs: string;
}

/**
 * Pings from each pod to each other one, over each network.
 *
 * @throws Failure at the first ping without answer
 */
export function pingAll(attachments: readonly Attachment[]): readonly Ping[] {
  return attachments.flatMap((from) =>
    attachments.filter((to) => to.network === from.network && to.pod !== from.pod).map((to) => ping(from, to)),
  );
}

function ping(from: Attachment, to: Attachment): Ping {
  const words = ['ping', '-c', '2', '-i', '0.2', '-W', '2', '-I', from.network.ifName, to.address];
  const [enter, ...rest] = [...insideOf(podNetns(from.pod)), ...words];
  const { status, stdout, stderr } = spawnSync(enter, rest, { encoding: 'utf8' });
  if (status !== 0) {
    const where = `${to.pod} does not answer ${from.pod} over ${from.network.name}`;
    throw new Failure(`${where} ("${words.join(' ')}"):\n${(stdout + stderr).trim()}`);
  }
  return { from, to, rttMs: /= ([\d.]+)\//.exec(stdout)?.[1] ?? '' };
}

/**
 * Allocates as many addresses as the pods had, and releases them.
 *
 * @returns one line for each address that was still reserved
 */
export function addressesStillTaken(before: readonly Attachment[]): readonly string[] {
  return NETWORKS.flatMap((network) => {
    const had = before.filter((one) => one.network === network).map(({ address }) => address);
    const got = PODS.map((pod) => addressFor('ADD', network, pod));
    for (const pod of PODS) {
      addressFor('DEL', network, pod);
    }
    const taken = had.filter((address) => !got.includes(address));
    return taken.map((address) => `${address} of ${network.name} is still reserved`);
  });
}

function addressFor(verb: 'ADD' | 'DEL', network: Network, pod: Pod): string | undefined {
  const conf = { ...networkConf(network), type: 'whereabouts' };
  const { ifName } = network;
  const { result } = callPlugin({ verb, conf, containerId: `${pod}-again`, netns: podNetns(pod), ifName });
  const [ip] = (result?.['ips'] ?? []) as readonly { readonly address: string }[];
  return ip?.address.replace(/\/.*/, '');
}
