/** host-device with the built program, a veth for the device, and `ip -j` for witness. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { settled } from '../../lab/eventually.ts';
import { answer, fake, RECORD, recordedVerbs } from '../../lab/fakes.ts';
import { PARENT_MAC } from '../../lab/lab.ts';
import { pictureOf } from '../../lab/picture.ts';
import { isOldest, OURS, VERSIONS } from '../../lab/programs.ts';
import { addressTexts, filesIn, linkOf, routesOf, stateOf } from '../../lab/state.ts';
import { Attachment, DEVICE } from './lab.ts';

const STATIC = {
  type: 'static',
  addresses: [{ address: '10.1.2.3/24', gateway: '10.1.2.1' }],
  routes: [{ dst: '0.0.0.0/0' }],
};
const hasCheck = (version: string): boolean => !isOldest(version) && !version.startsWith('0.3');

describe.concurrent.each(VERSIONS)('host-device, version %s', (version) => {
  it('ADD, CHECK, DEL, DEL with an address', async () => {
    await using one = await Attachment.open(version);
    one.configure({ ipam: STATIC });
    const before = await pictureOf(one.lab);
    const result = await one.add();
    const state = await one.podState();
    expect(linkOf(state, 'net1')).toMatchObject({
      address: PARENT_MAC,
      ifalias: DEVICE,
      flags: expect.arrayContaining(['UP']),
    });
    expect(addressTexts(state, 'net1')).toEqual(['10.1.2.3/24']);
    expect(routesOf(state, 'net1')).toMatchObject([{ dst: 'default', gateway: '10.1.2.1' }]);
    expect(linkOf(await one.nodeState(), DEVICE)).toBeUndefined();
    if (isOldest(version)) {
      expect(result).toMatchObject({ ip4: { ip: '10.1.2.3/24', gateway: '10.1.2.1' } });
    } else {
      expect(result).toMatchObject({
        cniVersion: version,
        interfaces: [{ name: 'net1', mac: PARENT_MAC, sandbox: one.pod.path }],
        ips: [{ interface: 0, address: '10.1.2.3/24', gateway: '10.1.2.1' }],
      });
    }
    expect((await one.call('CHECK')).exitCode).toBe(hasCheck(version) ? 0 : 1);
    for (const _ of ['first', 'second']) {
      await one.succeed('DEL');
      await one.expectHome(before);
      expect(linkOf(await one.podState(), 'net1')).toBeUndefined();
    }
    expect(one.recorded()).toEqual([]);
  });

  it('ADD without IPAM', async () => {
    await using one = await Attachment.open(version);
    const before = await pictureOf(one.lab);
    if (isOldest(version)) {
      expect((await one.fail('ADD')).message).toMatch(/no valid IP address/);
    } else {
      expect(await one.add()).toEqual({
        cniVersion: version,
        interfaces: [{ name: 'net1', mac: PARENT_MAC, sandbox: one.pod.path }],
        ...(version < '1.0.0' ? { dns: {} } : {}),
      });
      expect(linkOf(await one.podState(), 'net1')?.['flags']).toContain('UP');
    }
    await one.succeed('DEL');
    await one.expectHome(before);
  });
});

describe.concurrent('the device of ADD', () => {
  it.each([
    { key: 'device', value: 'the-uplink-of-this-node' },
    { key: 'hwaddr', value: PARENT_MAC.toUpperCase() },
  ])('is found by $key $value', async ({ key, value }) => {
    await using one = await Attachment.open();
    await one.onNode(`link property add dev ${DEVICE} altname the-uplink-of-this-node`);
    one.configure({ [key]: value });
    const before = await pictureOf(one.lab);
    await one.add();
    expect(linkOf(await one.podState(), 'net1')).toMatchObject({ ifalias: DEVICE });
    await one.succeed('CHECK');
    await one.succeed('DEL');
    await one.expectHome(before);
  });

  it('is the port, not the bridge that has its hardware address', { tags: 'host-device/hwaddr-choice' }, async () => {
    await using one = await Attachment.open();
    await one.onNode('link add br0 type bridge');
    await one.onNode(`link set ${DEVICE} master br0`);
    one.configure({ device: undefined, hwaddr: PARENT_MAC });
    expect(await one.add()).toMatchObject({ interfaces: [{ name: 'net1', mac: PARENT_MAC }] });
    await one.succeed('DEL');
    expect(linkOf(await stateOf(one.lab.node), DEVICE)).toMatchObject({ master: 'br0' });
  });

  it('may keep its name', async () => {
    await using one = await Attachment.open();
    one.with = { ifName: DEVICE };
    const before = await pictureOf(one.lab);
    expect(await one.add()).toMatchObject({ interfaces: [{ name: DEVICE }] });
    await one.succeed('CHECK');
    await one.succeed('DEL');
    await one.expectHome(before);
  });

  it('may be called as something in the pod is that it does not meet', async () => {
    await using one = await Attachment.open();
    await one.inPod(`link add ${DEVICE} type bridge`);
    const before = [await pictureOf(one.lab), await one.podState()] as const;
    await one.add();
    expect((await one.podState()).links.map(({ ifname }) => ifname)).toEqual(expect.arrayContaining([DEVICE, 'net1']));
    await one.succeed('DEL');
    await one.expectHome(before[0]);
    expect(await one.podState()).toEqual(before[1]);
  });

  it('cannot be given to two pods', async () => {
    await using one = await Attachment.open();
    await one.add();
    await settled(one.pod.name, ['net1']);
    const other = await one.another();
    const before = await one.podState();
    expect(await other.fail('ADD')).toMatchObject({
      code: 999,
      message: expect.stringMatching(/"device" "par": no such interface .* a pod may have it/),
    });
    await other.succeed('DEL');
    expect(await one.podState()).toEqual(before);
    expect(one.recorded()).toEqual(['c1-net1']);
  });
});

describe.concurrent('names that collide', () => {
  it.each([
    { what: 'a link', taken: 'link add dev par type bridge', free: 'link del par' },
    {
      what: 'an alternative name',
      taken: 'link property add dev lo altname par',
      free: 'link property del dev lo altname par',
    },
  ])('DEL fails as long as $what on the node has the name, and leaves the link as it was', async ({ taken, free }) => {
    await using one = await Attachment.open();
    one.configure({ ipam: STATIC });
    const before = await pictureOf(one.lab);
    await one.add();
    await settled(one.pod.name, ['net1']);
    const away = await one.podState();
    await one.onNode(taken);
    for (const _ of ['first', 'second']) {
      expect((await one.fail('DEL')).message).toMatch(/"par".* EEXIST/);
      expect(await one.podState()).toEqual(away);
    }
    await one.onNode(free);
    await one.succeed('DEL');
    await one.expectHome(before);
  });

  it.each([
    { what: 'CNI_IFNAME', altName: 'net1', inPod: 'link add other type bridge' },
    { what: 'what a link in the pod is called', altName: 'other', inPod: 'link add other type bridge' },
    { what: "nobody's in the pod", altName: 'other', inPod: 'link add third type bridge' },
  ])('alternative names, one of them $what, stay on the node and come back', async ({ altName, inPod }) => {
    await using one = await Attachment.open();
    await one.onNode(`link property add dev ${DEVICE} altname ${altName}`);
    await one.onNode(`link property add dev ${DEVICE} altname another-name`);
    await one.inPod(inPod);
    const before = await pictureOf(one.lab);
    await one.add();
    expect(linkOf(await one.podState(), 'net1')?.['altnames']).toBeUndefined();
    await one.inPod('link add another-name type bridge');
    await one.succeed('CHECK');
    await one.succeed('DEL');
    await one.expectHome(before);
  });

  it('an alternative name that the pod gave it and that is its name at home stops nothing', async () => {
    await using one = await Attachment.open();
    const before = await pictureOf(one.lab);
    await one.add();
    await one.inPod(`link property add dev net1 altname ${DEVICE}`);
    await one.inPod('link property add dev net1 altname of-the-pod');
    await one.succeed('DEL');
    await one.expectHome(before);
  });

  it('an alternative name that something on the node has by now is lost, and stops nothing', async () => {
    await using one = await Attachment.open();
    const before = await pictureOf(one.lab);
    await one.onNode(`link property add dev ${DEVICE} altname second-name`);
    await one.add();
    await one.onNode('link property add dev lo altname second-name');
    const { exitCode, stderr } = await one.call('DEL');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringContaining('second-name') });
    await one.onNode('link property del dev lo altname second-name');
    await one.expectHome(before);
  });
});

describe.concurrent('what programs in the pod do to the device', () => {
  it.each([
    { what: 'renamed', commands: ['link set net1 down', 'link set net1 name other'] },
    { what: 'given another alias', commands: ['link set net1 alias lo'] },
    { what: 'robbed of its alias and renamed', commands: ['link set net1 alias ', 'link set net1 name other'] },
    {
      what: 'renamed and replaced by another link',
      commands: ['link set net1 name other', 'link add net1 type bridge'],
    },
    {
      what: 'given another hardware address',
      commands: ['link set net1 down', 'link set net1 address 02:00:00:00:00:99', 'link set net1 name other'],
    },
    {
      what: 'changed in every way',
      commands: [
        'link set net1 mtu 1300',
        'link set net1 txqueuelen 17',
        'link set net1 promisc on',
        'link set net1 allmulticast on',
        'link set net1 address 02:00:00:00:00:99',
        'link set net1 down',
        'addr add 10.3.3.3/24 dev net1',
        'link set net1 arp off',
        'link set net1 multicast off',
        'link set net1 group 7',
      ],
    },
    { what: 'enslaved', commands: ['link add br0 type bridge', 'link set net1 master br0'] },
  ])('$what, it comes home as it was', async ({ commands }) => {
    await using one = await Attachment.open();
    const before = await pictureOf(one.lab);
    await one.add();
    for (const command of commands) {
      await one.lab.run(['ip', '-n', one.pod.name, ...command.split(' ')]);
    }
    await one.succeed('DEL');
    await one.expectHome(before);
    expect(one.recorded()).toEqual([]);
  });
});

describe.concurrent('a pod that is gone', () => {
  /** Tests run side by side, and devices of several nodes look alike: only addresses tell their pods apart. */
  const hostLocal = (dir: string, node: number) => ({
    type: 'host-local',
    dataDir: dir,
    ranges: [[{ subnet: `10.${node}.0.0/24` }]],
  });

  it('DEL succeeds and gives the address back when a virtual device ended with its namespace', async () => {
    await using one = await Attachment.open();
    const store = one.lab.folder('store');
    one.configure({ ipam: hostLocal(store, 7) });
    await one.add();
    await one.lab.remove(one.pod);
    for (const _ of ['first', 'second']) {
      await one.succeed('DEL');
      expect(Object.keys(filesIn(store))).not.toContain('net-a/10.7.0.2');
      expect(one.recorded()).toEqual([]);
    }
    expect(await one.fail('ADD', { netns: (await one.lab.pod()).path })).toMatchObject({
      message: expect.stringContaining('"device" "par": no such interface'),
    });
  });

  it('DEL without CNI_NETNS brings the device home and gives the address back', {
    tags: 'host-device/empty-netns',
  }, async () => {
    await using one = await Attachment.open();
    const store = one.lab.folder('store');
    one.configure({ ipam: hostLocal(store, 8) });
    const before = await pictureOf(one.lab);
    await one.add();
    await one.succeed('DEL', { netns: '' });
    await one.expectHome(before);
    expect(Object.keys(filesIn(store))).not.toContain('net-a/10.8.0.2');
    expect(one.recorded()).toEqual([]);
  });

  it('DEL whose path leads to no namespace finds the one that ADD recorded', async () => {
    await using one = await Attachment.open();
    const store = one.lab.folder('store');
    one.configure({ ipam: hostLocal(store, 9) });
    const before = await pictureOf(one.lab);
    await one.add();
    await one.succeed('DEL', { netns: '/etc/hostname' });
    expect(Object.keys(filesIn(store))).not.toContain('net-a/10.9.0.2');
    await one.expectHome(before);
    await one.succeed('DEL');
  });

  // As the kernel leaves a piece of hardware whose namespace died: here, with the name and the alias it had there.
  async function leftBehind({ name = 'net1', alias = DEVICE } = {}) {
    const one = await Attachment.open();
    const picture = await pictureOf(one.lab);
    await one.add();
    await one.lab.run(['ip', '-n', one.pod.name, 'link', 'set', 'net1', 'alias', alias]);
    await one.inPod(`link set net1 netns ${one.lab.node} name ${name}`);
    await one.lab.remove(one.pod);
    return { one, picture };
  }

  async function inLivingPod() {
    const one = await Attachment.open();
    const picture = await pictureOf(one.lab);
    await one.add();
    return { one, picture };
  }

  it.each(['net1', 'dev17'])(
    'DEL gives a device that the kernel left as %s all that it had',
    { tags: 'host-device/left-behind' },
    async (name) => {
      const { one, picture } = await leftBehind({ name });
      await using _ = one;
      await one.succeed('DEL', { netns: '/run/netns/absent-of-braid' });
      await one.expectHome(picture);
      expect(one.recorded()).toEqual([]);
    },
  );

  it.each([
    { what: 'by its name', conf: {}, alias: DEVICE },
    { what: 'by its hardware address', conf: { hwaddr: PARENT_MAC }, alias: '' },
    {
      what: 'when its pod has the path of the dead one',
      conf: { hwaddr: PARENT_MAC },
      alias: DEVICE,
      isSamePath: true,
    },
  ])('the next ADD does so before it takes the device $what', async ({ conf, alias, isSamePath = false }) => {
    const { one, picture } = await leftBehind({ alias });
    await using _ = one;
    one.configure(conf);
    const other = await one.another(isSamePath ? { name: one.pod.name } : {});
    await other.add();
    expect(other.recorded()).toEqual(['c2-net1']);
    await one.succeed('DEL', { netns: '/run/netns/absent-of-braid' });
    expect(linkOf(await other.podState(), 'net1')).toMatchObject({ ifalias: DEVICE });
    await other.succeed('DEL');
    await other.expectHome(picture);
    expect(one.recorded()).toEqual([]);
  });

  it.each([
    { what: 'it is here', open: leftBehind },
    { what: 'its pod lives', open: inLivingPod },
  ])('GC does so for attachments that are not valid when $what', async ({ open }) => {
    const { one, picture } = await open();
    await using _ = one;
    const gc = (valid: readonly object[]) =>
      one.succeed('GC', { conf: { ...one.document, 'cni.dev/valid-attachments': valid } });
    await gc([{ containerID: 'c1', ifname: 'net1' }]);
    expect(one.recorded()).toEqual(['c1-net1']);
    await gc([]);
    await one.expectHome(picture);
    expect(one.recorded()).toEqual([]);
  });

  it('GC removes the locks of killed calls', async () => {
    const { one } = await inLivingPod();
    await using _ = one;
    const lock = join(one.records, '.0000:01:00.0.lock');
    writeFileSync(lock, '');
    await one.succeed('GC');
    expect(existsSync(lock)).toBe(false);
    await one.succeed('DEL');
  });
});

describe.concurrent('an ADD that fails', () => {
  const result = (more: object) => answer({ cniVersion: '1.1.0', ips: [{ address: '10.1.2.3/24' }], ...more });

  it.each([
    {
      what: 'the IPAM plugin fails',
      script: `echo '{"code":123,"msg":"none left"}'; exit 1`,
      code: 123,
      says: /none left/,
    },
    { what: 'the IPAM plugin has no address', script: result({ ips: [] }), code: 999, says: /no IP address/ },
    {
      what: 'a route leads nowhere',
      script: result({ routes: [{ dst: '10.8.0.0/16', gw: '192.0.2.1' }] }),
      code: 999,
      says: /10\.8\.0\.0\/16.*ENETUNREACH/,
    },
    {
      what: 'an address is given twice',
      script: result({ ips: [{ address: '10.1.2.3/24' }, { address: '10.1.2.3/24' }] }),
      code: 999,
      says: /10\.1\.2\.3\/24.*EEXIST/,
    },
  ])('leaves device and addresses as they were when $what', async ({ script, code, says }) => {
    await using one = await Attachment.open();
    one.with = { path: [fake(one.lab, 'fake-ipam', `${RECORD}\n${script}`), ...OURS.path] };
    one.configure({ ipam: { type: 'fake-ipam' } });
    await one.onNode(`addr add 10.60.0.2/24 dev ${DEVICE}`);
    await one.onNode('route add 10.61.0.0/16 via 10.60.0.1');
    const before = await pictureOf(one.lab);
    expect(await one.fail('ADD')).toMatchObject({ code, message: expect.stringMatching(says) });
    await one.expectHome(before);
    expect((await one.podState()).links.map(({ ifname }) => ifname)).toEqual(['lo']);
    expect(recordedVerbs(one.lab)).toEqual(['ADD', 'DEL']);
    expect(one.recorded()).toEqual([]);
  });

  it('leaves the device as it was when the name in the pod is taken', async () => {
    await using one = await Attachment.open();
    await one.inPod('link add net1 type bridge');
    const before = [await pictureOf(one.lab), await one.podState()] as const;
    expect((await one.fail('ADD')).message).toMatch(/"net1".* already exists/);
    await one.expectHome(before[0]);
    expect(await one.podState()).toEqual(before[1]);
  });
});

describe.concurrent('STATUS', () => {
  it.each([
    { what: 'is silent when the device is here', conf: {}, code: 0 },
    { what: 'has code 50 when the device is nowhere', conf: { device: 'absent0' }, code: 50 },
    { what: 'has code 50 when the bus has no such device', conf: { pciBusID: '0000:ff:1f.7' }, code: 50 },
  ])('$what', async ({ conf, code }) => {
    await using one = await Attachment.open();
    one.configure(conf);
    const outcome = await one.call('STATUS');
    expect(outcome.exitCode === 0 ? { code: 0 } : JSON.parse(outcome.stdout)).toMatchObject({ code });
  });

  it('is silent while a pod of the network has the device', async () => {
    await using one = await Attachment.open();
    await one.add();
    await one.succeed('STATUS');
    await one.lab.remove(one.pod);
    await one.succeed('DEL');
    expect(await one.fail('STATUS')).toMatchObject({ code: 50 });
  });

  it.each(['STATUS', 'GC'])('and the like: %s is forwarded to the IPAM plugin', async (verb) => {
    await using one = await Attachment.open();
    one.with = { path: [fake(one.lab, 'fake-ipam', RECORD)] };
    one.configure({ ipam: { type: 'fake-ipam' }, 'cni.dev/valid-attachments': [] });
    await one.succeed(verb);
    expect(recordedVerbs(one.lab)).toEqual([verb]);
  });
});

describe.concurrent('CHECK', () => {
  it.each([
    { fault: 'the device is down', commands: ['link set net1 down'], says: /is down/ },
    { fault: 'the device has another name', commands: ['link set net1 name other'], says: /"net1" is missing/ },
    {
      fault: 'the hardware address is another',
      commands: ['link set net1 address 02:00:00:00:00:99'],
      says: /hardware address 02:00:00:00:00:99, not 02:00:00:00:00:01/,
    },
    { fault: 'the alias is gone', commands: ['link set net1 alias '], says: /alias/ },
    {
      fault: 'another link has the name',
      commands: ['link set net1 name other', 'link add net1 type bridge'],
      says: /"net1"/,
    },
    { fault: 'the address is gone', commands: ['addr del 10.1.2.3/24 dev net1'], says: /10\.1\.2\.3\/24/ },
    { fault: 'the route is gone', commands: ['route del default'], says: /0\.0\.0\.0\/0/ },
  ])('fails when $fault', async ({ commands, says }) => {
    await using one = await Attachment.open();
    one.configure({ ipam: STATIC });
    await one.add();
    for (const command of commands) {
      await one.inPod(command);
    }
    expect((await one.fail('CHECK')).message).toMatch(says);
  });
});
