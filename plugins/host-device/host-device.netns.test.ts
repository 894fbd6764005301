import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { Plugin } from '../../lib/cni/plugin.ts';
import type { Result } from '../../lib/cni/result.ts';
import { runPlugin } from '../../lib/cni/run.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { fakePlugin } from '../../lib/cni/testing/fake-plugin.ts';
import { failEachStep, isMadeToFail } from '../../lib/testing/failing.ts';
import { PARENT as DEVICE, ip, Lab } from '../../lib/testing/lab.ts';
import { hostDevice } from './plugin.ts';

const ADDRESSED: Result = {
  interfaces: [],
  ips: [{ address: '192.0.2.5/24', gateway: '192.0.2.1' }, { address: '2001:db8::5/64' }],
  routes: [{ dst: '198.51.100.0/24' }],
  dns: {},
};

/** An IPAM plugin that counts what it gives and takes. */
function countingIpam(leases: Set<string>): Plugin {
  return fakePlugin('fake-ipam', {
    add: async ({ containerId }) => {
      leases.add(containerId);
      return ADDRESSED;
    },
    del: async ({ containerId }) => void leases.delete(containerId),
  });
}

const inNetns = (name: string, script: string): string =>
  execFileSync('ip', ['netns', 'exec', name, 'sh', '-c', script], { encoding: 'utf8' });

class Attachment implements Disposable {
  readonly lab = new Lab();
  readonly leases = new Set<string>();
  private readonly folder = mkdtempSync(join(tmpdir(), 'braid-test-'));

  constructor() {
    writeFileSync(join(this.folder, 'fake-ipam'), '');
    for (const namespace of [this.lab.node, this.lab.pod]) {
      inNetns(namespace, 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad'); // addresses can be used at once
    }
    for (const text of [
      `link set ${DEVICE} mtu 1400 alias uplink`,
      `link property add dev ${DEVICE} altname net1 altname second`,
      `addr add 203.0.113.2/24 dev ${DEVICE}`,
      `addr add 2001:db8:1::2/64 dev ${DEVICE} nodad`,
      'route add 203.0.114.0/24 via 203.0.113.1',
    ]) {
      ip('-n', this.lab.node, ...text.split(' '));
    }
  }

  run(verb: string, extra: JsonObject = {}, change: (scope: Scope) => Scope = (scope) => scope) {
    const document = {
      cniVersion: '1.1.0',
      name: 'n',
      type: 'host-device',
      device: DEVICE,
      dataDir: join(this.folder, 'records'),
      ipam: { type: 'fake-ipam' },
      ...extra,
    };
    const env = {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: 'c1',
      CNI_NETNS: this.lab.podPath,
      CNI_IFNAME: 'net1',
      CNI_PATH: this.folder,
    };
    const scope = change(this.lab.scope({ 'fake-ipam': countingIpam(this.leases) }));
    return runPlugin(hostDevice as Plugin, { env, readStdin: () => Buffer.from(JSON.stringify(document)) }, scope);
  }

  records(): readonly string[] {
    const folder = join(this.folder, 'records');
    return existsSync(folder) ? readdirSync(folder) : [];
  }

  /** What ip(8) and the sysctls show of node and pod; unordered lists sorted. */
  look(): unknown {
    const files = `/proc/sys/net/ipv4/conf/${DEVICE} /proc/sys/net/ipv6/conf/${DEVICE}`;
    const settings = inNetns(this.lab.node, `grep -rs "" ${files} || true`);
    const states = [this.lab.node, this.lab.pod].map((name) => {
      const query = { input: 'link\naddr\nroute show table all\n', encoding: 'utf8' } as const;
      const lines = execFileSync('ip', ['-n', name, '-j', '-d', '-batch', '-'], query).trim().split('\n');
      const [links, addresses, routes] = lines.map((line) => JSON.parse(line) as readonly unknown[]);
      return { links, addresses, routes: routes?.map((route) => JSON.stringify(route)).toSorted() };
    });
    const sorted = (key: string, value: unknown) => (key === 'altnames' ? (value as string[]).toSorted() : value);
    return JSON.parse(JSON.stringify({ states, settings }), sorted);
  }

  /** The same once the kernel has settled: routes of addresses appear with the carrier, of which some hear later. */
  async lookSettled(): Promise<unknown> {
    const routes = (): string => JSON.stringify(ip('-n', this.lab.node, '-6', 'route', 'show', 'table', 'local'));
    await expect.poll(routes).toContain('2001:db8:1::2');
    await expect.poll(() => ip('-n', this.lab.node, 'link', 'show', DEVICE)).toMatchObject([{ operstate: 'UP' }]);
    return this.look();
  }

  /** Name of the device on the node. */
  names(): unknown {
    const [link] = ip('-n', this.lab.node, 'link', 'show', DEVICE) as [{ ifname: string; ifalias: string }];
    return [link.ifname, link.ifalias];
  }

  [Symbol.dispose](): void {
    this.lab[Symbol.dispose]();
    rmSync(this.folder, { recursive: true });
  }
}

describe('host-device ADD', () => {
  it.each([
    { what: 'with addresses of an IPAM plugin', extra: {}, atLeast: 15 },
    { what: "with the device's own addresses too", extra: { useInterfaceNetwork: true }, atLeast: 18 },
  ])('restores the device whichever step fails, $what', async ({ extra, atLeast }) => {
    using attachment = new Attachment();
    const before = await attachment.lookSettled();
    const failed = await failEachStep(
      (change) => attachment.run('ADD', extra, change),
      () => attachment.run('DEL', extra),
      async () => {
        await expect.poll(() => attachment.look()).toEqual(before);
        expect([attachment.records(), attachment.leases.size]).toEqual([[], 0]);
      },
    );
    expect(failed.length).toBeGreaterThanOrEqual(atLeast);
    expect(failed.filter((text) => !isMadeToFail(text))).toEqual([]);
  });
});

describe('host-device DEL', () => {
  it('fails when one of its steps fails, and has the device back then or after a retry', async () => {
    using attachment = new Attachment();
    const failed = await failEachStep(
      async (change) => {
        expect((await attachment.run('ADD')).exitCode).toBe(0);
        const { exitCode, stdout } = await attachment.run('DEL', {}, change);
        return { exitCode, stdout };
      },
      async () => undefined,
      async () => {
        expect((await attachment.run('DEL')).exitCode).toBe(0);
        expect(attachment.names()).toEqual([DEVICE, 'uplink']);
        expect([attachment.records(), attachment.leases.size]).toEqual([[], 0]);
      },
    );
    expect(failed.length).toBeGreaterThanOrEqual(3);
    expect(failed.filter((text) => !isMadeToFail(text))).toEqual([]);
  });
});
