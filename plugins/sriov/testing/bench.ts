import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Verb } from '../../../lib/cni/call.ts';
import type { JsonObject } from '../../../lib/cni/json.ts';
import type { Plugin } from '../../../lib/cni/plugin.ts';
import { EMPTY_RESULT, type Result } from '../../../lib/cni/result.ts';
import { type Outcome, runPlugin } from '../../../lib/cni/run.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import { fakePlugin } from '../../../lib/cni/testing/fake-plugin.ts';
import { fakeScope } from '../../../lib/cni/testing/fake-scope.ts';
import { NetnsMissing } from '../../../lib/netns/netns.ts';
import { sriov } from '../plugin.ts';
import { FakeNic, VF } from './fake-nic.ts';

const ADDRESS: Result = { ...EMPTY_RESULT, ips: [{ address: '192.0.2.5/24' }], dns: { domain: 'ipam' } };

/** A fake NIC, a fake IPAM plugin, and temporary folders. */
export class Bench implements Disposable {
  readonly nic: FakeNic;
  readonly lines: string[] = [];
  /** attachments with addresses */
  readonly leases = new Set<string>();
  readonly ipamCalls: string[] = [];
  /** throws to make IPAM fail */
  ipamFails: (verb: string) => void = () => undefined;
  readonly stateDir: string;
  /** change it to simulate a reboot */
  bootId = 'this boot';
  private readonly dir = mkdtempSync(join(tmpdir(), 'braid-test-'));

  constructor() {
    mkdirSync(join(this.dir, 'sys'));
    mkdirSync(join(this.dir, 'bin'));
    writeFileSync(join(this.dir, 'bin/fake-ipam'), '');
    this.stateDir = join(this.dir, 'state');
    this.nic = new FakeNic(join(this.dir, 'sys'));
  }

  run(verb: Verb, more: JsonObject = {}, env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
    const document = {
      cniVersion: '1.1.0',
      name: 'blue',
      type: 'sriov',
      deviceID: VF,
      dataDir: this.stateDir,
      ipam: { type: 'fake-ipam' },
      ...more,
    };
    const attachment = { CNI_CONTAINERID: 'c1', CNI_NETNS: this.nic.pod.path, CNI_IFNAME: 'net1' };
    const all = {
      CNI_COMMAND: verb,
      CNI_PATH: join(this.dir, 'bin'),
      ...(verb === 'GC' || verb === 'STATUS' ? {} : attachment),
      ...env,
    };
    const readStdin = () => Buffer.from(JSON.stringify(document));
    return runPlugin(sriov as Plugin, { env: all, readStdin }, this.scope());
  }

  /** All files in the plugin's folder except locks. */
  files(): Readonly<Record<string, string>> {
    const entries = (() => {
      try {
        return readdirSync(this.stateDir, { recursive: true, withFileTypes: true });
      } catch {
        return [];
      }
    })();
    return Object.fromEntries(
      entries
        .filter((entry) => entry.isFile() && !entry.name.endsWith('.lock'))
        .map((entry) => join(entry.parentPath, entry.name))
        .map((path) => [path.slice(this.stateDir.length + 1), readFileSync(path, 'utf8')]),
    );
  }

  /** Writes a file in the plugin's folder. */
  put(name: string, content: string): void {
    const path = join(this.stateDir, name);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, content);
  }

  private scope(): Scope {
    const { nic } = this;
    return fakeScope({
      node: {
        host: nic.open(nic.home),
        sysfs: nic.sysfs,
        bootId: this.bootId,
        openNetns: (path) => {
          if (path !== nic.pod.path || !nic.pod.alive) {
            throw new NetnsMissing(path);
          }
          return nic.open(nic.pod);
        },
      },
      log: (line) => void this.lines.push(line),
      registry: { 'fake-ipam': async () => this.ipam() },
      isOwnBuild: () => true,
      sleep: async () => undefined,
    });
  }

  private ipam(): Plugin {
    const note = (verb: string): void => {
      this.ipamCalls.push(verb);
      this.ipamFails(verb);
    };
    return fakePlugin('fake-ipam', {
      add: async ({ containerId, ifName }) => {
        this.leases.add(`${containerId}/${ifName}`); // leaves the lease behind when it fails
        note('ADD');
        return ADDRESS;
      },
      del: async ({ containerId, ifName }) => {
        note('DEL');
        this.leases.delete(`${containerId}/${ifName}`);
      },
      check: async () => note('CHECK'),
      status: async () => note('STATUS'),
      gc: async () => note('GC'),
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export const OK = { exitCode: 0, stderr: '' };
export const MAC = '02:aa:00:00:00:07';
export const ALL: JsonObject = {
  mac: MAC,
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
export const messageIn = (stdout: string): string => (JSON.parse(stdout) as { readonly msg: string }).msg;

/** A bench after a successful ADD. */
export async function attached(
  conf: JsonObject = ALL,
): Promise<{ bench: Bench; before: unknown; prevResult: JsonObject }> {
  const bench = new Bench();
  const before = bench.nic.picture();
  const { stdout } = await bench.run('ADD', conf);
  return { bench, before, prevResult: JSON.parse(stdout) as JsonObject };
}

/** Renames an interface as udev would, also in sysfs. */
export function rename(nic: Bench['nic'], parentDev: string, name: string): void {
  Object.assign(nic.home.links.find((one) => one.parentDev === parentDev) ?? {}, { name });
  nic.entry(`devices/pci0000:00/${parentDev}/net`);
  nic.entry(`devices/pci0000:00/${parentDev}/net/${name}`);
}
