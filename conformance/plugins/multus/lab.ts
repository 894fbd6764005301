/** multus on a node of its own, with all that tests ask of it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Outcome } from '../../lab/execute.ts';
import { fake } from '../../lab/fakes.ts';
import { Lab, PARENT, type Pod } from '../../lab/lab.ts';
import { errorOf, parsed } from '../../lab/printed.ts';
import { OURS, type Side } from '../../lab/programs.ts';
import { filesIn, stateOf } from '../../lab/state.ts';

export const OK = { exitCode: 0, signal: undefined };
export const POD =
  'IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u1';

interface Call {
  readonly containerId?: string;
  readonly args?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly netns?: string;
  readonly side?: Side;
}

/** One node, one pod and a configuration of multus with folders of its own. */
export class Multus implements AsyncDisposable {
  readonly lab: Lab;
  readonly pod: Pod;
  readonly cniDir: string;
  readonly store: string;
  conf: Record<string, unknown> = {};

  private constructor(lab: Lab, pod: Pod) {
    this.lab = lab;
    this.pod = pod;
    this.cniDir = join(lab.dir, 'cni');
    this.store = join(lab.dir, 'store');
  }

  static async open(
    delegates: readonly unknown[] | ((multus: Multus) => readonly unknown[]),
    more: object = {},
  ): Promise<Multus> {
    const lab = await Lab.open();
    const multus = new Multus(lab, await lab.pod());
    mkdirSync(multus.cniDir);
    mkdirSync(multus.store);
    const list = typeof delegates === 'function' ? delegates(multus) : delegates;
    multus.conf = {
      cniVersion: '1.1.0',
      name: 'node',
      type: 'multus',
      cniDir: multus.cniDir,
      binDir: OURS.bin,
      delegates: list,
      ...more,
    };
    return multus;
  }

  call(
    verb: string,
    { containerId = 'c1', args = POD, env = {}, netns = this.pod.path, side = OURS }: Call = {},
  ): Promise<Outcome> {
    const fakes = join(this.lab.dir, 'fake');
    return this.lab.call(
      {
        verb,
        plugin: 'multus',
        conf: this.conf,
        netns,
        containerId,
        ifName: 'eth0',
        args,
        path: [fakes, ...OURS.path],
        env,
      },
      side,
    );
  }

  async must(verb: string, call: Call = {}): Promise<string> {
    const outcome = await this.call(verb, call);
    expect(outcome).toMatchObject(OK);
    return outcome.stdout;
  }

  async fails(verb: string, call: Call = {}) {
    return errorOf(await this.call(verb, call));
  }

  /** Whatever a call could have changed. */
  async everything() {
    const [pod, node] = await Promise.all([stateOf(this.pod.name), stateOf(this.lab.node)]);
    const files = (folder: string) =>
      Object.fromEntries(Object.entries(filesIn(folder)).filter(([name]) => !name.endsWith('/')));
    return { pod, node, cni: files(this.cniDir), reserved: await this.reserved() };
  }

  /** What whereabouts holds in the first three ranges: the address that comes next. */
  async reserved(): Promise<readonly string[]> {
    const next: string[] = [];
    for (const index of [0, 1, 2]) {
      const call = {
        plugin: 'whereabouts',
        conf: { cniVersion: '1.1.0', name: 'probe', ...this.whereabouts(index) },
        netns: '/proc/1/ns/net',
        containerId: 'probe',
      };
      const { stdout } = await this.lab.call({ ...call, verb: 'ADD' });
      next.push((parsed(stdout) as { ips: { address: string }[] }).ips[0]?.address ?? '');
      await this.lab.call({ ...call, verb: 'DEL' });
    }
    return next;
  }

  whereabouts(index: number) {
    return { ipam: { type: 'whereabouts', datastore: 'file', data_dir: this.store, range: `10.5.${index}.0/24` } };
  }

  rail(index: number, more: object = {}) {
    return {
      cniVersion: '1.1.0',
      name: `rail-${index}`,
      type: 'macvlan',
      master: PARENT,
      ...this.whereabouts(index),
      ...more,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}

export const rails =
  (count: number, more: object = {}) =>
  (multus: Multus) =>
    Array.from({ length: count }, (_, index) => multus.rail(index, more));

/** A network of one fake plugin. */
export function faked(multus: Multus, index: number, script: string): object {
  return { cniVersion: '1.1.0', name: `rail-${index}`, type: fakeType(multus, `fake-${index}`, script) };
}

/** A macvlan with a fake plugin chained to it. */
export function chained(multus: Multus, index: number, script: string): object {
  const { cniVersion, name, ...plugin } = multus.rail(index);
  return { cniVersion, name, plugins: [plugin, { type: fakeType(multus, `fake-${index}`, script) }] };
}

export function fakeType(multus: Multus, name: string, script: string): string {
  fake(multus.lab, name, script);
  return name;
}
