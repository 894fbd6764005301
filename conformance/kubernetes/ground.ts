/** What is there before a cluster: a folder, the network of the control plane, nodes that are off, and who clears up. */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Site } from '../cluster/cluster.ts';
import { startProcess } from '../cluster/server-process.ts';
import type { Place } from '../containerd/place.ts';
import type { Parts } from './install.ts';
import { Node } from './node.ts';
import { type VfCounts, VmNode } from './vm/vm-node.ts';
import { Warden } from './warden.ts';
import { API_ADDRESS, API_PORT, makeControl } from './wires.ts';

export interface Ground {
  readonly folder: string;
  readonly warden: Warden;
  readonly control: Place;
  /** where the API server shall be */
  readonly site: Site;
}

/** @param stack gets what ends it, in order */
export async function makeGround(stack: AsyncDisposableStack): Promise<Ground> {
  const warden = stack.use(new Warden());
  const folder = mkdtempSync(join(tmpdir(), 'braid-kubernetes-'));
  warden.removes(folder);
  const control = await makeControl(folder);
  stack.defer(() => control.end());
  const elsewhere = { enter: ['nsenter', `--net=/proc/${control.pid}/ns/net`], forks: false };
  const site = { elsewhere, address: API_ADDRESS, port: API_PORT, socket: join(folder, 'api.sock') };
  const words = [join(import.meta.dirname, 'relay.ts'), site.socket, site.address, String(site.port)];
  const relay = startProcess(process.execPath, words, folder, elsewhere);
  stack.defer(() => relay.kill());
  return { folder, warden, control, site };
}

/** What nodes are made of. */
export interface Making {
  /** gets what ends them */
  readonly stack: AsyncDisposableStack;
  readonly ground: Ground;
  readonly parts: Parts;
  readonly plugins: readonly string[];
}

/** A node that is off, with plugins. */
export function makeNode({ stack, ground, parts, plugins }: Making, number: number): Node {
  const { folder, warden, control } = ground;
  const home = homeOf(ground, number);
  const node = new Node({ number, folder: home, control, parts, cgroup: `${basename(folder)}-n${number}` });
  for (const group of node.cgroups) {
    warden.removes(group);
  }
  stack.defer(() => node.cutPower());
  node.installPlugins(plugins);
  return node;
}

/** The same, as a machine. */
export function makeVmNode({ stack, ground, parts, plugins }: Making, number: number, vfs: VfCounts = {}): VmNode {
  const node = new VmNode({ number, folder: homeOf(ground, number), control: ground.control, parts, plugins, vfs });
  stack.defer(() => node.end());
  return node;
}

function homeOf({ folder }: Ground, number: number): string {
  const home = join(folder, `n${number}`);
  mkdirSync(home);
  return home;
}
