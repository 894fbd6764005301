/** Calls of the built sriov in the virtual machine, and what must be the same after them. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun, type Outcome } from '../lab/execute.ts';
import type { Pod } from '../lab/lab.ts';
import { OURS, STANDALONE } from '../lab/programs.ts';
import type { Entry } from '../lab/state.ts';
import { killedAfter } from '../lab/steps.ts';
import type { Node } from './node.ts';
import { linksOf } from './pci.ts';
import { type LinkPicture, pictureOfLink } from './picture.ts';
import type { Vfs } from './vfs.ts';

/** Where the Go plugin keeps records, and so do we. */
export const STATE = '/var/lib/cni/sriov';

export const OK = { exitCode: 0, stdout: '' };

/** Everything that a VF can be given, as a driver takes it that knows all of it. */
export const ALL = {
  mac: '02-AA-00-00-00-07',
  vlan: 100,
  vlanQoS: 3,
  vlanProto: '802.1ad',
  spoofchk: 'off',
  trust: 'on',
  min_tx_rate: 10,
  max_tx_rate: 100,
  link_state: 'enable',
  mtu: 1400,
};
export const MAC = '02:aa:00:00:00:07';
export const NO_MAC = '00:00:00:00:00:00';

export type Conf = Readonly<Record<string, unknown>>;

export interface Call {
  readonly conf: Conf;
  readonly pod: Pod;
  /** CNI_NETNS instead of the pod's; '' leaves it out */
  readonly netns?: string;
  readonly ifName?: string;
  readonly args?: string;
  /** SIGKILL after so many effects: see ../steps.ts */
  readonly killAfter?: number;
}

/** An IPAM plugin that gives the address in its configuration, and keeps a list of who has one. */
const ipamScript = (leases: string): string => `#!/bin/sh
address=$(sed -n 's/.*"address": *"\\([^"]*\\)".*/\\1/p')
lease=${leases}/$CNI_CONTAINERID-$CNI_IFNAME
case $CNI_COMMAND in
  ADD) echo "$address" >"$lease"; echo '{"cniVersion":"1.0.0","ips":[{"address":"'"$address"'"}]}' ;;
  DEL) rm -f "$lease" ;;
esac
`;

/** The plugin on a node with VFs. */
export class SriovLab {
  private readonly node: Node;
  private readonly vfs: Vfs;
  private readonly leases: string;
  private readonly bin: string;

  constructor(node: Node, vfs: Vfs) {
    this.node = node;
    this.vfs = vfs;
    this.leases = node.folder('leases');
    this.bin = node.folder('bin');
    writeFileSync(join(this.bin, 'test-ipam'), ipamScript(this.leases), { mode: 0o755 });
    rmSync(STATE, { recursive: true, force: true });
  }

  /** A configuration for a VF. */
  conf(id: number, more: Conf = {}): Conf {
    const ipam = { type: 'test-ipam', address: '10.90.0.5/24' };
    return { cniVersion: '1.1.0', name: 'blue', type: 'sriov', deviceID: this.vfs.at(id).pci, ipam, ...more };
  }

  /** Calls the plugin as a runtime does. The container is called as the pod is. */
  async call(verb: string, { conf, pod, netns, ifName, args, killAfter }: Call): Promise<Outcome> {
    return this.node.call({
      verb,
      plugin: 'sriov',
      conf,
      containerId: pod.name,
      netns: netns ?? pod.path,
      path: [this.bin, STANDALONE, ...OURS.path],
      ...(ifName === undefined ? {} : { ifName }),
      ...(args === undefined ? {} : { args }),
      ...(killAfter === undefined ? {} : { env: await killedAfter('sriov', this.bin, killAfter) }),
    });
  }

  /** Card, VFs, records, leases: what must be the same after DEL. */
  async picture(): Promise<unknown> {
    const links = this.vfs.all.map(({ pci }) => linksOf(pci)[0] ?? 'away');
    // the card's own addresses come about while it is looked at
    const { addresses: _, routes: __, ...card } = await pictureOfLink(this.vfs.card.link);
    return {
      card,
      vfs: await Promise.all(links.map((link) => (link === 'away' ? link : pictureOfVf(link)))),
      records: this.records(),
      leases: readdirSync(this.leases),
    };
  }

  /** Files of the plugin. Locks stay: they are empty. */
  records(): readonly string[] {
    return existsSync(STATE)
      ? readdirSync(STATE, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile() && !entry.name.endsWith('.lock'))
          .map((entry) => join(entry.parentPath, entry.name).slice(STATE.length + 1))
          .sort()
      : [];
  }

  /** Writes a file of the plugin, as somebody else would. */
  putState(name: string, content: string): void {
    mkdirSync(join(STATE, name, '..'), { recursive: true });
    writeFileSync(join(STATE, name), content);
  }
}

/**
 * igbvf takes the address that the PF has given it for burnt in, until it is bound anew. Alternative names have no order
 * that means anything.
 */
async function pictureOfVf(name: string): Promise<LinkPicture> {
  const { link, ...others } = await pictureOfLink(name);
  const { permaddr: _, altnames, ...lasting } = link;
  return { link: { ...lasting, altnames: [...((altnames ?? []) as readonly string[])].sort() }, ...others };
}

/** A link in a pod, or on the node; undefined when there is none. */
export async function linkIn(pod: Pod | undefined, name: string): Promise<Entry | undefined> {
  const where = pod === undefined ? [] : ['-n', pod.name];
  const links = JSON.parse(await mustRun(['ip', '-j', '-d', ...where, 'link', 'show'])) as readonly Entry[];
  return links.find(({ ifname }) => ifname === name);
}

export const messageIn = ({ stdout }: Outcome): string => (JSON.parse(stdout) as { readonly msg: string }).msg;
