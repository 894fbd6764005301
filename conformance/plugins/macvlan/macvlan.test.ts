/** macvlan as people use it: cnitool calls the built program, `ip -j` says what came of it. */
import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../lab/execute.ts';
import { answer, fake, RECORD, recordedVerbs } from '../../lab/fakes.ts';
import { type CnitoolCall, cnitool, Lab, PARENT, PARENT_MAC, type Pod, writeNetwork } from '../../lab/lab.ts';
import { errorOf, parsed } from '../../lab/printed.ts';
import { isOldest, OURS, VERSIONS } from '../../lab/programs.ts';
import { addressTexts, filesIn, linkOf, MARK, type NetnsState, routesOf, stateOf } from '../../lab/state.ts';

const MAC = '02:5e:00:00:00:07';
const STATIC = {
  type: 'static',
  addresses: [{ address: '10.1.2.3/24', gateway: '10.1.2.1' }],
  routes: [{ dst: '0.0.0.0/0' }],
};
const OK = { exitCode: 0, signal: undefined };

/** One network on one node with one pod. */
class Attachment implements AsyncDisposable {
  readonly lab: Lab;
  readonly pod: Pod;
  private readonly version: string;
  private plugin: object = {};

  private constructor(lab: Lab, pod: Pod, version: string) {
    this.lab = lab;
    this.pod = pod;
    this.version = version;
  }

  static async open(version: string, podOptions = {}): Promise<Attachment> {
    const lab = await Lab.open();
    return new Attachment(lab, await lab.pod(podOptions), version);
  }

  configure(plugin: object): void {
    this.plugin = { type: 'macvlan', master: PARENT, ...plugin };
  }

  async run(verb: string, more: Partial<CnitoolCall> = {}): Promise<Outcome> {
    const confDir = writeNetwork(this.lab, 'net-a', this.version, [this.plugin]);
    const cache = this.lab.folder('cache');
    // cnitool keeps results below /var/lib/cni: each lab has one of its own
    const script = `mount --bind ${cache} /var/lib && exec "$0" "$@"`;
    return cnitool(this.lab, verb, 'net-a', this.pod, { confDir, wrapper: ['sh', '-c', script], ...more });
  }

  async result(more: Partial<CnitoolCall> = {}): Promise<Result> {
    const outcome = await this.run('add', more);
    expect(outcome).toMatchObject(OK);
    return parsed(outcome.stdout) as Result;
  }

  state(): Promise<NetnsState> {
    return stateOf(this.pod.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}

interface Result {
  readonly cniVersion: string;
  readonly interfaces?: readonly { readonly name: string; readonly mac: string; readonly sandbox: string }[];
  readonly ips?: readonly {
    readonly address: string;
    readonly gateway?: string;
    readonly interface?: number;
    readonly version?: string;
  }[];
  readonly routes?: readonly { readonly dst: string; readonly gw?: string }[];
  readonly ip4?: { readonly ip: string; readonly routes?: readonly object[] };
  readonly dns?: object;
}

const newer = VERSIONS.filter((version) => !isOldest(version));
const checked = VERSIONS.filter((version) => !isOldest(version) && !version.startsWith('0.3'));

describe.concurrent.each(VERSIONS)('macvlan, version %s', (version) => {
  const hasCheck = checked.includes(version as (typeof checked)[number]);

  it.each([undefined, false, true])(
    'ADD, CHECK, DEL, DEL with host-local; linkInContainer %s',
    async (linkInContainer) => {
      await using one = await Attachment.open(version);
      const { lab, pod } = one;
      if (linkInContainer) {
        await lab.ip(pod.name, 'link add inner type bridge');
        await lab.ip(pod.name, 'link set inner addrgenmode none'); // the kernel would add an address later
        await lab.ip(pod.name, 'link set inner up');
      }
      const store = lab.folder('store');
      const ipam = {
        type: 'host-local',
        dataDir: store,
        ranges: [[{ subnet: '10.7.0.0/24' }]],
        routes: [{ dst: '0.0.0.0/0' }, { dst: '10.9.0.0/16', gw: '10.7.0.9' }],
      };
      one.configure({
        ipam,
        ...(linkInContainer === undefined ? {} : { linkInContainer }),
        ...(linkInContainer ? { master: 'inner' } : {}),
      });
      const before = await one.state();

      const result = await one.result();
      const state = await one.state();
      expect(linkOf(state, 'net1')).toMatchObject({
        linkinfo: { info_kind: 'macvlan', info_data: { mode: 'bridge' } },
        mtu: 1500,
        flags: expect.arrayContaining(['UP']),
      });
      expect(addressTexts(state, 'net1')).toEqual(['10.7.0.2/24']);
      expect(routesOf(state, 'net1')).toMatchObject([
        { dst: 'default', gateway: '10.7.0.1' },
        { dst: '10.9.0.0/16', gateway: '10.7.0.9' },
      ]);
      expect(Object.keys(filesIn(store))).toContain('net-a/10.7.0.2');
      if (isOldest(version)) {
        expect(result).toMatchObject({
          cniVersion: version,
          ip4: {
            ip: '10.7.0.2/24',
            gateway: '10.7.0.1',
            routes: [{ dst: '0.0.0.0/0' }, { dst: '10.9.0.0/16', gw: '10.7.0.9' }],
          },
        });
      } else {
        const mac = linkOf(state, 'net1')?.['address'];
        expect(result).toMatchObject({ cniVersion: version, interfaces: [{ name: 'net1', mac, sandbox: pod.path }] });
        expect(result.ips).toEqual([
          { ...(version < '1.0.0' ? { version: '4' } : {}), interface: 0, address: '10.7.0.2/24', gateway: '10.7.0.1' },
        ]);
      }

      const check = await one.run('check');
      expect(check.exitCode).toBe(hasCheck ? 0 : 1);
      expect(await one.run('del')).toMatchObject({ ...OK, stdout: '' });
      expect(await one.state()).toEqual(before);
      expect(Object.keys(filesIn(store))).not.toContain('net-a/10.7.0.2');
      expect(await one.run('del')).toMatchObject({ ...OK, stdout: '' });
      expect(await one.state()).toEqual(before);
    },
  );

  it.each([undefined, false, true])('ADD without IPAM; linkInContainer %s', async (linkInContainer) => {
    await using one = await Attachment.open(version);
    if (linkInContainer) {
      await one.lab.ip(one.pod.name, 'link add inner type bridge');
    }
    one.configure({
      ...(linkInContainer === undefined ? {} : { linkInContainer }),
      ...(linkInContainer ? { master: 'inner' } : {}),
    });
    const before = await one.state();
    const added = await one.run('add');
    if (isOldest(version)) {
      expect(added.exitCode).toBe(1);
      expect(`${added.stdout}${added.stderr}`).toMatch(/no valid IP address/);
      expect(await one.state()).toEqual(before);
    } else {
      expect(added).toMatchObject(OK);
      const state = await one.state();
      const interfaces = [{ name: 'net1', mac: linkOf(state, 'net1')?.['address'], sandbox: one.pod.path }];
      expect(parsed(added.stdout)).toEqual({
        cniVersion: version,
        interfaces,
        ...(version < '1.0.0' ? { dns: {} } : {}),
      });
      expect(linkOf(state, 'net1')?.['flags']).toContain('UP');
      expect(addressTexts(state, 'net1')).toEqual([]);
    }
    expect(await one.run('del')).toMatchObject(OK);
    expect(await one.state()).toEqual(before);
  });

  it.each([4, 6])('takes the parent of the IPv%s default route when none is named', async (family) => {
    await using one = await Attachment.open(version);
    const { lab } = one;
    await lab.ip(lab.node, 'link add other type veth peer name other-peer');
    await lab.ip(lab.node, 'link set other up');
    await lab.ip(lab.node, `-${family} route add default dev other metric 50`);
    await lab.ip(lab.node, `-${family} route add default dev ${PARENT} metric 10`);
    one.configure({ master: undefined, ipam: STATIC });
    await one.result();
    const index = linkOf(await stateOf(lab.node), PARENT)?.['ifindex'];
    expect(linkOf(await one.state(), 'net1')?.['link_index']).toBe(index);
  });

  it('takes the hardware address of CNI_ARGS', async () => {
    await using one = await Attachment.open(version);
    one.configure({ ipam: STATIC, mac: '02:5e:00:00:00:01' });
    await one.result({ env: { CNI_ARGS: `IgnoreUnknown=1;MAC=${MAC}` } });
    expect(linkOf(await one.state(), 'net1')?.['address']).toBe(MAC);
  });

  it('takes the hardware address of the runtime', async () => {
    await using one = await Attachment.open(version);
    one.configure({ ipam: STATIC, mac: '02:5e:00:00:00:01', capabilities: { mac: true } });
    await one.result({
      env: { CNI_ARGS: 'IgnoreUnknown=1;MAC=02:5e:00:00:00:02', CAP_ARGS: JSON.stringify({ mac: MAC }) },
    });
    expect(linkOf(await one.state(), 'net1')?.['address']).toBe(MAC);
  });

  it('says on the interface whose it is', { tags: 'macvlan/mark' }, async () => {
    await using attachment = await Attachment.open(version);
    attachment.configure({ ipam: STATIC });
    await attachment.result();
    const [, containerId, ifName] = MARK.exec(String(linkOf(await attachment.state(), 'net1')?.['ifalias'])) ?? [];
    expect([containerId, ifName]).toEqual([expect.stringMatching(/^cnitool-/), 'net1']);
  });

  it('DEL without ADD succeeds', async () => {
    await using one = await Attachment.open(version);
    one.configure({ ipam: STATIC });
    expect(await one.run('del')).toMatchObject({ ...OK, stdout: '' });
  });

  it('DEL succeeds when the parent is gone', async () => {
    await using one = await Attachment.open(version);
    one.configure({ ipam: STATIC });
    await one.result();
    await one.lab.ip(one.lab.node, `link del ${PARENT}`);
    expect(await one.run('del')).toMatchObject(OK);
  });

  it('DEL gives the address back when the namespace is gone', async () => {
    await using one = await Attachment.open(version);
    const store = one.lab.folder('store');
    one.configure({ ipam: { type: 'host-local', dataDir: store, ranges: [[{ subnet: '10.7.0.0/24' }]] } });
    await one.result();
    await one.lab.remove(one.pod);
    expect(await one.run('del')).toMatchObject(OK);
    expect(Object.keys(filesIn(store))).not.toContain('net-a/10.7.0.2');
  });

  it('adds IPv4 and IPv6 addresses and routes, routes without gateway through that of the address', async () => {
    await using one = await Attachment.open(version);
    const addresses = [
      { address: '10.1.2.3/24', gateway: '10.1.2.1' },
      { address: 'fd00::3/64', gateway: 'fd00::1' },
    ];
    const routes = [
      { dst: '10.8.0.0/16' },
      { dst: 'fd08::/32' },
      { dst: '10.9.0.0/16', gw: '10.1.2.9' },
      { dst: 'fd09::/32', gw: 'fd00::9' },
    ];
    one.configure({ ipam: { type: 'static', addresses, routes } });
    await one.result();
    const state = await one.state();
    expect(addressTexts(state, 'net1')).toEqual(['10.1.2.3/24', 'fd00::3/64']);
    expect(routesOf(state, 'net1')).toMatchObject([
      { dst: '10.8.0.0/16', gateway: '10.1.2.1' },
      { dst: '10.9.0.0/16', gateway: '10.1.2.9' },
      { dst: 'fd08::/32', gateway: 'fd00::1' },
      { dst: 'fd09::/32', gateway: 'fd00::9' },
    ]);
    expect((await one.run('check')).exitCode).toBe(hasCheck ? 0 : 1);
  });

  it('keeps IPv6 addresses when the link goes down and up', async () => {
    await using one = await Attachment.open(version);
    one.configure({ ipam: { type: 'static', addresses: [{ address: 'fd00::3/64' }] } });
    await one.result();
    await one.lab.ip(one.pod.name, 'link set net1 down');
    expect(addressTexts(await one.state(), 'net1')).toEqual(['fd00::3/64']);
    await one.lab.ip(one.pod.name, 'link set net1 up');
    expect(addressTexts(await one.state(), 'net1')).toEqual(['fd00::3/64']);
  });

  it('switches IPv6 on for an IPv6 address', async () => {
    await using one = await Attachment.open(version);
    await one.lab.sysctl(one.pod.name, 'net/ipv6/conf/all/disable_ipv6', '1');
    await one.lab.sysctl(one.pod.name, 'net/ipv6/conf/default/disable_ipv6', '1');
    one.configure({ ipam: { type: 'static', addresses: [{ address: 'fd00::3/64' }] } });
    await one.result();
    expect(addressTexts(await one.state(), 'net1')).toEqual(['fd00::3/64']);
  });

  it.each([
    { family: 'IPv4', address: '10.1.2.3/24', dst: '10.8.0.0/16', gateways: ['10.1.2.1', '10.1.2.2'] },
    { family: 'IPv6', address: 'fd00::3/64', dst: 'fd08::/32', gateways: ['fd00::1', 'fd00::2'] },
  ])('adds two $family routes to one destination', async ({ address, dst, gateways }) => {
    await using one = await Attachment.open(version);
    one.configure({ ipam: { type: 'static', addresses: [{ address }], routes: gateways.map((gw) => ({ dst, gw })) } });
    await one.result();
    const routes = (await one.state()).routes.filter((route) => route['dst'] === dst);
    expect(gateways.filter((gw) => !JSON.stringify(routes).includes(`"${gw}"`))).toEqual([]);
    expect((await one.run('check')).exitCode).toBe(hasCheck ? 0 : 1);
  });

  it('applies mtu, advmss, metric, table and scope of a route', async () => {
    await using one = await Attachment.open(version);
    const routes = [
      { dst: '10.8.0.0/16', gw: '10.1.2.1', mtu: 1300, advmss: 1200, priority: 33, table: 1234 },
      { dst: '10.9.0.9/16', scope: 253 },
    ];
    one.configure({ ipam: { ...STATIC, addresses: [{ address: '10.1.2.3/24' }], routes } });
    await one.result();
    const applied = await one.state().then((state) => routesOf(state, 'net1'));
    if (isOldest(version)) {
      expect(applied).toMatchObject([{ dst: '10.8.0.0/16', gateway: '10.1.2.1' }, { dst: '10.9.0.0/16' }]); // the result has no more
    } else {
      expect(applied).toMatchObject([
        { dst: '10.8.0.0/16', gateway: '10.1.2.1', metrics: [{ mtu: 1300, advmss: 1200 }], metric: 33, table: '1234' },
        { dst: '10.9.0.0/16', scope: 'link', table: 'main' },
      ]);
    }
    expect((await one.run('check')).exitCode).toBe(hasCheck ? 0 : 1);
  });

  it('CHECK knows a /32 address', async () => {
    await using one = await Attachment.open(version);
    one.configure({
      ipam: {
        type: 'static',
        addresses: [{ address: '10.1.2.3/32' }],
        routes: [{ dst: '10.1.2.1/32', ...(isOldest(version) ? {} : { scope: 253 }) }, { dst: '10.8.0.0/16' }],
      },
    });
    await one.result();
    expect((await one.run('check')).exitCode).toBe(hasCheck ? 0 : 1);
  });

  it('wears in passthru mode the hardware address that is asked for', async () => {
    await using one = await Attachment.open(version);
    const before = await stateOf(one.lab.node);
    one.configure({ mode: 'passthru', mac: MAC, ipam: STATIC });
    await one.result();
    expect(linkOf(await one.state(), 'net1')).toMatchObject({ address: MAC });
    expect((await one.run('check')).exitCode).toBe(hasCheck ? 0 : 1);
    expect(await one.run('del')).toMatchObject(OK);
    expect(await stateOf(one.lab.node)).toEqual(before);
  });

  it.each([
    {
      what: 'a parent that a bridge has',
      commands: ['link add br0 type bridge', `link set ${PARENT} master br0`],
      mac: MAC,
      says: `parent "${PARENT}" is enslaved to a bridge`,
    },
    {
      what: "the parent's own hardware address",
      commands: [],
      mac: PARENT_MAC,
      says: `parent "${PARENT}" has hardware address ${PARENT_MAC} itself`,
    },
  ])('says why the kernel refuses $what', { tags: 'macvlan/refusal-reason' }, async ({ commands, mac, says }) => {
    await using one = await Attachment.open(version);
    for (const command of commands) {
      await one.lab.ip(one.lab.node, command);
    }
    one.configure({ mac, ipam: STATIC });
    const { exitCode, stdout, stderr } = await one.run('add');
    expect({ exitCode, text: `${stdout}${stderr}`.replaceAll('\\"', '"') }).toEqual({
      exitCode: 1,
      text: expect.stringContaining(says),
    });
  });

  it('takes the first way out of a default route of several that is up', async () => {
    await using one = await Attachment.open(version);
    const { lab } = one;
    await lab.ip(lab.node, 'link add lame type veth peer name lame-peer');
    await lab.ip(lab.node, 'link set lame up');
    await lab.ip(lab.node, `route add default nexthop dev lame nexthop dev ${PARENT}`);
    await lab.ip(lab.node, 'link set lame down');
    one.configure({ master: undefined, ipam: STATIC });
    await one.result();
    expect(linkOf(await one.state(), 'net1')?.['link_index']).toBe(
      linkOf(await stateOf(lab.node), PARENT)?.['ifindex'],
    );
  });

  it.each([
    { kind: 'bridge', make: 'link add net1 type bridge' },
    { kind: 'veth', make: 'link add net1 type veth peer name net1-peer' },
  ])('DEL leaves a $kind that has the name alone', async ({ make }) => {
    await using one = await Attachment.open(version);
    await one.lab.ip(one.pod.name, make);
    const before = await one.state();
    one.configure({ ipam: STATIC });
    expect(await one.run('del')).toMatchObject(OK);
    expect(await one.state()).toEqual(before);
  });

  it.each([
    { what: 'prints no address', script: answer({ cniVersion: version }), says: /no IP address/ },
    { what: 'fails', script: `echo '{"code":123,"msg":"none left","details":"at all"}'; exit 1`, says: /none left/ },
    {
      what: 'gives an address that is taken',
      script: answer(result(version, ['10.1.2.3/24'], [])),
      says: /./,
      mac: PARENT_MAC,
    },
    {
      what: 'gives a route that leads nowhere',
      script: answer(result(version, ['10.1.2.3/24'], [{ dst: '10.8.0.0/16', gw: '192.0.2.1' }])),
      says: /10\.8\.0\.0\/16/,
    },
  ])('leaves no link and no address when the IPAM plugin $what', async ({ script, says, mac }) => {
    await using one = await Attachment.open(version);
    const folder = fake(one.lab, 'fake-ipam', `${RECORD}\n${script}`);
    one.configure({ ipam: { type: 'fake-ipam' }, ...(mac === undefined ? {} : { mac }) });
    const before = [await one.state(), await stateOf(one.lab.node)];
    const { exitCode, stdout, stderr } = await one.run('add', { side: { ...OURS, path: [folder, ...OURS.path] } });
    expect({ exitCode, text: `${stdout}${stderr}` }).toEqual({ exitCode: 1, text: expect.stringMatching(says) });
    expect([await one.state(), await stateOf(one.lab.node)]).toEqual(before);
    expect(recordedVerbs(one.lab)).toEqual(['ADD', 'DEL']);
  });
});

/** What an IPAM plugin prints. */
function result(version: string, addresses: readonly string[], routes: readonly object[]): object {
  return isOldest(version)
    ? { cniVersion: version, ip4: { ip: addresses[0], routes } }
    : { cniVersion: version, ips: addresses.map((address) => ({ version: '4', address })), routes };
}

describe.concurrent.each(checked)('macvlan CHECK, version %s', (version) => {
  it.each([
    { fault: 'the link is down', commands: ['link set net1 down'], says: /down/ },
    { fault: 'the link is gone', commands: ['link del net1'], says: /missing/ },
    { fault: 'the mtu is another', commands: ['link set net1 mtu 1400'], says: /MTU 1400/ },
    { fault: 'the mode is another', commands: ['link set net1 type macvlan mode private'], says: /mode/ },
    {
      fault: 'the address is gone',
      commands: ['addr del 10.1.2.3/24 dev net1', 'addr add 10.1.2.4/24 dev net1'],
      says: /10\.1\.2\.3\/24/,
    },
    {
      fault: 'the prefix length is another',
      commands: ['addr add 10.1.2.3/25 dev net1', 'addr del 10.1.2.3/24 dev net1'],
      says: /10\.1\.2\.3\/24/,
    },
    { fault: 'the route is gone', commands: ['route del default'], says: /0\.0\.0\.0\/0/ },
    {
      fault: 'the route has another gateway',
      commands: ['route replace default via 10.1.2.77'],
      says: /0\.0\.0\.0\/0/,
    },
    {
      fault: 'the route leads through another link',
      commands: [
        'link add other type bridge',
        'link set other up',
        'route add 10.1.2.1 dev other',
        'route del default',
        'route add default via 10.1.2.1 dev other',
      ],
      says: /0\.0\.0\.0\/0/,
    },
  ])('fails when $fault', async ({ commands, says }) => {
    await using one = await Attachment.open(version);
    one.configure({ ipam: STATIC, mtu: 1450 });
    await one.result();
    for (const command of commands) {
      await one.lab.ip(one.pod.name, command);
    }
    const { exitCode, stdout, stderr } = await one.run('check');
    expect({ exitCode, text: `${stdout}${stderr}` }).toEqual({ exitCode: 1, text: expect.stringMatching(says) });
  });

  it('finds a route in the table that a later plugin has put it into, as sbr does', async () => {
    await using one = await Attachment.open(version);
    one.configure({ ipam: STATIC });
    await one.result();
    await one.lab.ip(one.pod.name, 'route del default');
    await one.lab.ip(one.pod.name, 'route add default via 10.1.2.1 dev net1 table 100');
    expect(await one.run('check')).toMatchObject(OK);
  });

  it('tolerates addresses and routes that others added', async () => {
    await using one = await Attachment.open(version);
    one.configure({ ipam: STATIC });
    await one.result();
    await one.lab.ip(one.pod.name, 'addr add 10.6.0.1/24 dev net1');
    await one.lab.ip(one.pod.name, 'route add 10.66.0.0/16 via 10.6.0.9');
    expect(await one.run('check')).toMatchObject(OK);
  });
});

describe.concurrent('macvlan STATUS, version 1.1.0', () => {
  it.each([
    { what: 'is silent when all is well', conf: { ipam: STATIC }, code: 0 },
    { what: 'has code 50 without the parent', conf: { master: 'absent0' }, code: 50 },
    { what: 'has code 50 without a default route', conf: { master: '' }, code: 50 },
    { what: 'has code 50 when the mtu is too big', conf: { mtu: 9000 }, code: 50 },
    {
      what: 'does not look for a parent that is in containers',
      conf: { master: 'absent0', linkInContainer: true },
      code: 0,
    },
  ])('$what', async ({ conf, code }) => {
    await using lab = await Lab.open();
    const outcome = await lab.call({
      verb: 'STATUS',
      plugin: 'macvlan',
      conf: { cniVersion: '1.1.0', name: 'a', type: 'macvlan', master: PARENT, ...conf },
    });
    expect(outcome.exitCode === 0 ? 0 : errorOf(outcome).code).toBe(code);
    expect(outcome.exitCode === 0 ? outcome.stdout : '').toBe('');
  });

  it('has code 50 when the parent is enslaved', async () => {
    await using lab = await Lab.open();
    await lab.ip(lab.node, 'link add br9 type bridge');
    await lab.ip(lab.node, `link set ${PARENT} master br9`);
    const outcome = await lab.call({
      verb: 'STATUS',
      plugin: 'macvlan',
      conf: { cniVersion: '1.1.0', name: 'a', type: 'macvlan', master: PARENT },
    });
    expect(errorOf(outcome)).toMatchObject({ code: 50, message: expect.stringContaining('bridge') });
  });

  it.each(['STATUS', 'GC'])('forwards %s to the IPAM plugin', { tags: 'all/gc-and-status' }, async (verb) => {
    await using lab = await Lab.open();
    const path = [fake(lab, 'fake-ipam', RECORD)];
    const conf = {
      cniVersion: '1.1.0',
      name: 'a',
      type: 'macvlan',
      master: PARENT,
      ipam: { type: 'fake-ipam' },
      'cni.dev/valid-attachments': [],
    };
    expect(await lab.call({ verb, plugin: 'macvlan', conf, path })).toMatchObject({ ...OK, stdout: '' });
    expect(recordedVerbs(lab)).toEqual([verb]);
  });
});

describe.concurrent('duplicate address detection', () => {
  it('ADD fails and takes everything back when another host has the address', async () => {
    await using one = await Attachment.open('1.0.0', { detectsDuplicates: true });
    const { lab, pod } = one;
    const other = await lab.pod();
    await lab.ip(lab.node, `link add other link ${PARENT} netns ${other.name} type macvlan mode bridge`);
    await lab.ip(other.name, 'addr add fd00::3/64 dev other nodad');
    await lab.ip(other.name, 'link set other up');
    const folder = fake(
      lab,
      'fake-ipam',
      `${RECORD}\n${answer({ cniVersion: '1.0.0', ips: [{ address: 'fd00::3/64' }] })}`,
    );
    one.configure({ ipam: { type: 'fake-ipam' } });
    const before = await stateOf(pod.name);
    const { exitCode, stdout, stderr } = await one.run('add', { side: { ...OURS, path: [folder, ...OURS.path] } });
    expect({ exitCode, text: `${stdout}${stderr}` }).toEqual({ exitCode: 1, text: expect.stringContaining('fd00::3') });
    expect(await stateOf(pod.name)).toEqual(before);
    expect(recordedVerbs(lab)).toEqual(['ADD', 'DEL']);
  });

  it('ADD does not wait for a parent without carrier for ever', async () => {
    await using one = await Attachment.open('1.0.0', { detectsDuplicates: true });
    await one.lab.ip(one.lab.node, `link set ${PARENT}-peer down`);
    one.configure({ ipam: { type: 'static', addresses: [{ address: 'fd00::3/64' }] } });
    await one.result();
    expect(addressTexts(await one.state(), 'net1')).toEqual(['fd00::3/64']);
  });
});

describe.concurrent.each(newer)('several macvlans, version %s', (version) => {
  it('two interfaces of one pod come and go by themselves', async () => {
    await using one = await Attachment.open(version);
    const store = one.lab.folder('store');
    one.configure({ ipam: { type: 'host-local', dataDir: store, ranges: [[{ subnet: '10.7.0.0/24' }]] } });
    await one.result({ ifName: 'net1' });
    await one.result({ ifName: 'net2' });
    expect(await one.run('del', { ifName: 'net1' })).toMatchObject(OK);
    const state = await one.state();
    expect([linkOf(state, 'net1'), addressTexts(state, 'net2')]).toEqual([undefined, ['10.7.0.3/24']]);
    expect(Object.keys(filesIn(store))).toContain('net-a/10.7.0.3');
  });

  it('a second ADD of the same interface fails and takes nothing from the first', async () => {
    await using one = await Attachment.open(version);
    const store = one.lab.folder('store');
    one.configure({ ipam: { type: 'host-local', dataDir: store, ranges: [[{ subnet: '10.7.0.0/24' }]] } });
    await one.result();
    const before = [await one.state(), filesIn(store)];
    const { exitCode, stdout, stderr } = await one.run('add');
    expect({ exitCode, text: `${stdout}${stderr}` }).toEqual({ exitCode: 1, text: expect.stringContaining('net1') });
    expect([await one.state(), filesIn(store)]).toEqual(before);
  });
});
