/** A node with a pod whose interface is tuned. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Env, Outcome } from '../../lab/execute.ts';
import { Lab, type Pod } from '../../lab/lab.ts';
import { errorOf } from '../../lab/printed.ts';
import { envOf, OURS, type Side } from '../../lab/programs.ts';
import { type Entry, linkOf, stateOf } from '../../lab/state.ts';
import { LINK, MAC, previousOf } from './cases.ts';

export const CHANGES = { mac: MAC, mtu: 1400, promisc: true, allmulti: true, txQLen: 77 };
export const SYSCTLS = { 'net.ipv4.conf.IFNAME.arp_filter': '1', 'net/ipv6/conf/IFNAME/hop_limit': '33' };

/** What an interface has, as `ip -j -d link` says it. */
export interface Looks {
  readonly address: unknown;
  readonly mtu: unknown;
  readonly txqlen: unknown;
  readonly modes: readonly string[];
}

export const TUNED: Looks = { address: MAC, mtu: 1400, txqlen: 77, modes: ['ALLMULTI', 'PROMISC'] };

export class Tuned implements AsyncDisposable {
  readonly lab: Lab;
  readonly pod: Pod;
  private etc: string | undefined;

  private constructor(lab: Lab, pod: Pod) {
    this.lab = lab;
    this.pod = pod;
  }

  static async open(): Promise<Tuned> {
    const lab = await Lab.open();
    const one = new Tuned(lab, await lab.pod());
    await one.makeLink();
    return one;
  }

  /** The interface `net1`, up, with an address. */
  async makeLink(pod = this.pod): Promise<void> {
    for (const command of [...LINK.map((text) => text.slice('pod: '.length)), 'addr add 10.1.2.3/24 dev net1']) {
      await this.lab.ip(pod.name, command);
    }
  }

  get dataDir(): string {
    return join(this.lab.dir, 'data/tuning');
  }

  conf(more: object = CHANGES): object {
    const previous = { ...previousOf('1.1.0', 'net1'), interfaces: [{ name: 'net1', sandbox: this.pod.path }] };
    return { cniVersion: '1.1.0', name: 'net-a', type: 'tuning', dataDir: this.dataDir, prevResult: previous, ...more };
  }

  /** Programs see this allow-list in place of the machine's. */
  allow(text: string): void {
    this.etc = this.lab.folder('etc');
    writeFileSync(join(this.lab.folder('etc/cni/tuning'), 'allowlist.conf'), text);
  }

  call(
    verb: string,
    { conf = this.conf(), side = OURS, env = {}, netns = this.pod.path, containerId = 'c1' }: Called = {},
  ): Promise<Outcome> {
    const seeing = this.etc === undefined ? [] : ['sh', '-c', 'mount --bind "$0" /etc && exec "$@"', this.etc];
    return this.lab.execute([...seeing, join(side.bin, 'tuning')], {
      env: { ...envOf(side, { verb, plugin: 'tuning', conf, netns, containerId }), ...env },
      stdin: JSON.stringify(conf),
      cwd: this.lab.dir,
    });
  }

  async succeed(verb: string, called: Called = {}): Promise<Outcome> {
    const outcome = await this.call(verb, called);
    expect(outcome).toMatchObject({ exitCode: 0 });
    return outcome;
  }

  /** @returns code and message */
  async fail(verb: string, called: Called = {}): Promise<{ readonly code: number; readonly message: string }> {
    const outcome = await this.call(verb, called);
    expect(outcome).toMatchObject({ exitCode: 1 });
    return errorOf(outcome);
  }

  async looks(name = 'net1', pod = this.pod): Promise<Looks> {
    const link: Entry = linkOf(await stateOf(pod.name), name) ?? {};
    const flags = link['flags'] as readonly string[];
    const modes = flags.filter((flag) => ['ALLMULTI', 'PROMISC'].includes(flag)).toSorted();
    return { address: link['address'], mtu: link['mtu'], txqlen: link['txqlen'], modes };
  }

  /** Names below /proc/sys of the pod. */
  async sysctls(...names: readonly string[]): Promise<readonly string[]> {
    const text = await this.lab.run(['cat', ...names.map((name) => `/proc/sys/${name}`)], {}, this.pod.name);
    return text.trimEnd().split('\n');
  }

  records(): readonly string[] {
    return existsSync(this.dataDir) ? readdirSync(this.dataDir) : [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}

interface Called {
  readonly conf?: object;
  readonly side?: Side;
  readonly env?: Env;
  readonly netns?: string;
  readonly containerId?: string;
}
