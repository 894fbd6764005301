import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { Plugin } from '../../lib/cni/plugin.ts';
import { EMPTY_RESULT } from '../../lib/cni/result.ts';
import { runPlugin } from '../../lib/cni/run.ts';
import { fakePlugin } from '../../lib/cni/testing/fake-plugin.ts';
import { PARENT as DEVICE, ip, Lab } from '../../lib/testing/lab.ts';
import { hostDevice } from './plugin.ts';

const ipam: Plugin = fakePlugin('fake-ipam', {
  add: async () => ({ ...EMPTY_RESULT, ips: [{ address: '10.9.0.5/24', gateway: '10.9.0.1' }] }),
});

class Attachment implements Disposable {
  readonly lab = new Lab();
  private readonly folder = mkdtempSync(join(tmpdir(), 'braid-test-'));

  constructor(commands: readonly string[]) {
    writeFileSync(join(this.folder, 'fake-ipam'), '');
    for (const command of commands) {
      ip('-n', this.lab.node, ...command.split(' '));
    }
  }

  async run(verb: string, extra: JsonObject = {}) {
    const document = {
      ...{ cniVersion: '1.1.0', name: 'n', type: 'host-device', device: DEVICE, useInterfaceNetwork: true },
      ...{ dataDir: join(this.folder, 'records'), ipam: { type: 'fake-ipam' } },
      ...extra,
    };
    const attachment = { CNI_CONTAINERID: 'c1', CNI_NETNS: this.lab.podPath, CNI_IFNAME: 'net1' };
    const env = { CNI_COMMAND: verb, CNI_PATH: this.folder, ...attachment };
    const scope = this.lab.scope({ 'fake-ipam': ipam });
    const readStdin = () => Buffer.from(JSON.stringify(document));
    const { stdout, exitCode } = await runPlugin(hostDevice as Plugin, { env, readStdin }, scope);
    return { exitCode, said: stdout === '' ? {} : (JSON.parse(stdout) as JsonObject) };
  }

  /** Routes in the pod or on the node, without carrier flags. */
  routes(namespace: string, ...query: readonly string[]): unknown {
    const routes = ip('-n', namespace, ...query, 'route', 'show', 'table', 'main') as { flags: string[] }[];
    return JSON.parse(JSON.stringify(routes).replaceAll('"linkdown"', '').replaceAll(DEVICE, 'net1'));
  }

  [Symbol.dispose](): void {
    this.lab[Symbol.dispose]();
    rmSync(this.folder, { recursive: true });
  }
}

describe('a pod that inherits the network of its device', () => {
  it.each<[string, readonly string[], readonly unknown[]]>([
    [
      'a default route through an on-link host route',
      [
        `addr add 192.0.2.5/32 dev ${DEVICE}`,
        `route add 203.0.113.1 dev ${DEVICE}`,
        `route add default via 203.0.113.1 dev ${DEVICE} src 192.0.2.5`,
      ],
      [
        { dst: '0.0.0.0/0', gw: '203.0.113.1' },
        { dst: '203.0.113.1/32', scope: 253 },
      ],
    ],
    [
      'a gateway marked onlink',
      [`addr add 192.0.2.5/32 dev ${DEVICE}`, `route add default via 203.0.113.1 dev ${DEVICE} onlink`],
      [{ dst: '0.0.0.0/0', gw: '203.0.113.1' }],
    ],
    [
      'a default route through its peer',
      [`addr add 192.0.2.5 peer 203.0.113.1/32 dev ${DEVICE}`, 'route add default via 203.0.113.1'],
      [{ dst: '0.0.0.0/0', gw: '203.0.113.1' }],
    ],
    [
      'routes for types of service, which a result cannot express',
      [
        `addr add 192.0.2.5/24 dev ${DEVICE}`,
        'route add 10.1.0.0/16 via 192.0.2.1 tos 0x10',
        'route add 10.1.0.0/16 via 192.0.2.2',
      ],
      [{ dst: '10.1.0.0/16', gw: '192.0.2.2' }],
    ],
    [
      'two next hops, which a result cannot express',
      [`addr add 192.0.2.5/24 dev ${DEVICE}`, 'route add default nexthop via 192.0.2.1 weight 2 nexthop via 192.0.2.2'],
      [],
    ],
  ])('has %s', async (_, commands, listed) => {
    using attachment = new Attachment(commands);
    const { lab } = attachment;
    const before = attachment.routes(lab.node);
    const added = await attachment.run('ADD');
    expect(added).toMatchObject({ exitCode: 0 });
    expect((added.said as { routes?: unknown[] }).routes ?? []).toEqual(listed);
    expect(attachment.routes(lab.pod)).toEqual(expect.arrayContaining(before as unknown[]));
    expect((await attachment.run('CHECK', { prevResult: added.said })).exitCode).toBe(0);
    expect((await attachment.run('DEL')).exitCode).toBe(0);
    expect(attachment.routes(lab.node)).toEqual(before);
  });

  it('has IPv6 routes with source address and preference', async () => {
    using attachment = new Attachment([
      `addr add 2001:db8:1::5/64 dev ${DEVICE} nodad`,
      '-6 route add 2001:db8:3::/48 via 2001:db8:1::1 src 2001:db8:1::5 pref high',
      '-6 route add 2001:db8:4::/48 nexthop via 2001:db8:1::1 nexthop via 2001:db8:1::2',
    ]);
    const { lab } = attachment;
    const before = attachment.routes(lab.node, '-6');
    const added = await attachment.run('ADD');
    expect(added).toMatchObject({ exitCode: 0, said: { routes: [{ dst: '2001:db8:3::/48', gw: '2001:db8:1::1' }] } });
    expect(attachment.routes(lab.pod, '-6')).toEqual(expect.arrayContaining(before as unknown[]));
    expect((await attachment.run('CHECK', { prevResult: added.said })).exitCode).toBe(0);
  });

  it('has no next hop through a link that stays on the node', async () => {
    using attachment = new Attachment([
      'link add other type bridge',
      'link set other up',
      'addr add 198.51.100.5/24 dev other',
      `addr add 192.0.2.5/24 dev ${DEVICE}`,
      'route add default nexthop via 192.0.2.1 nexthop via 198.51.100.1',
    ]);
    const { lab } = attachment;
    for (const name of ['one', 'two', 'three', 'four']) {
      ip('-n', lab.pod, 'link', 'add', name, 'type', 'bridge'); // one of them has the index of the link that stays
      ip('-n', lab.pod, 'link', 'set', name, 'up');
    }
    expect(await attachment.run('ADD')).toMatchObject({ exitCode: 0 });
    const [route] = (attachment.routes(lab.pod) as { dst: string }[]).filter(({ dst }) => dst === 'default');
    expect(route).toMatchObject({ gateway: '192.0.2.1', dev: 'net1' });
  });

  it("leaves the pod's own default route alone", async () => {
    using attachment = new Attachment([
      `addr add 192.0.2.5/24 dev ${DEVICE}`,
      'route add default nexthop via 192.0.2.1 nexthop via 192.0.2.2',
    ]);
    const { lab } = attachment;
    for (const command of ['link add eth0 type bridge', 'link set eth0 up', 'addr add 198.51.100.5/24 dev eth0']) {
      ip('-n', lab.pod, ...command.split(' '));
    }
    ip('-n', lab.pod, 'route', 'add', 'default', 'via', '198.51.100.1');
    expect(await attachment.run('ADD')).toMatchObject({ exitCode: 0 });
    const defaults = (attachment.routes(lab.pod) as { dst: string }[]).filter(({ dst }) => dst === 'default');
    expect(defaults[0]).toMatchObject({ gateway: '198.51.100.1', dev: 'eth0' });
    expect(defaults).toHaveLength(2);
  });

  it('fails naming the route that cannot be applied', async () => {
    using attachment = new Attachment([
      `addr add 192.0.2.5/24 dev ${DEVICE}`,
      `addr add 198.51.100.5/24 dev ${DEVICE} scope link`,
      'route add 10.1.0.0/16 via 198.51.100.1 metric 7',
    ]);
    const { exitCode, said } = await attachment.run('ADD');
    expect([exitCode, said['msg']]).toEqual([
      1,
      expect.stringMatching(
        /^cannot apply the network configuration of "up0" in the container: cannot restore route 10\.1\.0\.0\/16 via 198\.51\.100\.1 metric 7: ENETUNREACH/,
      ),
    ]);
    expect(ip('-n', attachment.lab.pod, 'link')).toHaveLength(1);
  });
});
