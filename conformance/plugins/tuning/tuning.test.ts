/** tuning as runtimes call it: the built program changes an interface, `ip -j` and /proc/sys say what came of it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GO, OURS } from '../../lab/programs.ts';
import { addressTexts, linkOf, routesOf, stateOf } from '../../lab/state.ts';
import { killedAfter, stepsOf } from '../../lab/steps.ts';
import { CHANGES, SYSCTLS, TUNED, Tuned } from './lab.ts';

const FILTER = 'net/ipv4/conf/net1/arp_filter';

describe.concurrent('ADD', () => {
  it('changes the interface with one request, after one record', async () => {
    await using one = await Tuned.open();
    const outcome = await one.succeed('ADD', {
      env: await killedAfter('tuning', one.lab.dir, Number.POSITIVE_INFINITY),
    });
    const steps = stepsOf(outcome).filter((step) => /^(request|rename)/.test(step));
    expect(steps).toEqual([expect.stringMatching(/^rename to .*c1_net1\.json$/), 'request 19']);
    expect(await one.looks()).toEqual(TUNED);
  });

  it('keeps addresses and routes, also those of IPv6', async () => {
    await using one = await Tuned.open();
    const { lab, pod } = one;
    await lab.ip(pod.name, 'addr add fd00::3/64 dev net1');
    await lab.ip(pod.name, 'route add 10.8.0.0/16 via 10.1.2.1');
    await lab.ip(pod.name, '-6 route add fd08::/48 via fd00::1');
    const seen = async () => {
      const state = await stateOf(pod.name);
      const linkLocal = state.addresses.filter(({ ifname, scope }) => ifname === 'net1' && scope === 'link').length;
      return [addressTexts(state, 'net1'), routesOf(state, 'net1'), linkLocal];
    };
    const before = await seen();
    expect(before[2]).toBe(1);
    await one.succeed('ADD');
    expect(await seen()).toEqual(before);
    await one.succeed('DEL');
    expect(await seen()).toEqual(before);
  });

  it.each([
    ['an MTU', { ...CHANGES, mtu: 67, sysctl: SYSCTLS }, /cannot set the MTU 67 of link "net1": EINVAL/],
    [
      'a sysctl',
      { ...CHANGES, sysctl: { ...SYSCTLS, 'net.ipv4.conf.IFNAME.arp_ignore': 'x' } },
      /cannot set sysctl .*arp_ignore to x: EINVAL/,
    ],
  ])('takes everything back when the kernel refuses %s', async (_, changes, says) => {
    await using one = await Tuned.open();
    const names = [FILTER, 'net/ipv6/conf/net1/hop_limit'];
    const before = [await one.looks(), await one.sysctls(...names)];
    const conf = one.conf(changes);
    expect(await one.fail('ADD', { conf })).toEqual({ code: 999, message: expect.stringMatching(says) });
    expect([await one.looks(), await one.sysctls(...names), one.records()]).toEqual([...before, []]);
  });

  it('says what the parent has when an MTU is above it', { tags: 'tuning/mtu-reason' }, async () => {
    await using one = await Tuned.open();
    const { lab, pod } = one;
    for (let spare = 0; spare < 9; spare++) {
      await lab.ip(lab.node, `link add spare${spare} type bridge`); // indexes that the pod has not
    }
    await lab.ip(lab.node, 'link add uplink type veth peer name uplink-peer');
    await lab.ip(lab.node, `link add link uplink name mv0 netns ${pod.name} type macvlan`);
    await lab.ip(pod.name, 'link del net1');
    await lab.ip(pod.name, 'link set mv0 name net1');
    const { message } = await one.fail('ADD', { conf: one.conf({ mtu: 9000, txQLen: 5 }) });
    expect(message).toMatch(
      /^cannot set the MTU 9000 of link "net1": EINVAL \(invalid argument\): parent "uplink" has 1500$/,
    );
  });

  it('that fails the second time leaves what the first has done, and its record', async () => {
    await using one = await Tuned.open();
    const before = await one.looks();
    await one.succeed('ADD');
    const record = readFileSync(join(one.dataDir, 'c1_net1.json'), 'utf8');
    await one.fail('ADD', { conf: one.conf({ mtu: 67, txQLen: 5, promisc: true }) });
    expect(await one.looks()).toEqual(TUNED);
    expect(readFileSync(join(one.dataDir, 'c1_net1.json'), 'utf8')).toBe(record);
    await one.succeed('DEL');
    expect(await one.looks()).toEqual(before);
  });

  it.each([OURS, GO])('twice by $name, and DEL: what is put back', { tags: 'tuning/record-again' }, async (side) => {
    await using one = await Tuned.open();
    const before = await one.looks();
    await one.succeed('ADD', { side });
    await one.succeed('ADD', { side, conf: one.conf({ ...CHANGES, mtu: 1300 }) });
    await one.succeed('DEL', { side });
    expect(await one.looks()).toEqual(side === OURS ? before : TUNED);
  });

  it('of two plugins of a chain, one after the other, puts back what was there first', async () => {
    await using one = await Tuned.open();
    const before = await one.looks();
    await one.succeed('ADD', { conf: one.conf({ mtu: 1400 }) });
    await one.succeed('ADD', { conf: one.conf({ mtu: 1300, txQLen: 5 }) });
    await one.succeed('DEL');
    await one.succeed('DEL');
    expect([await one.looks(), one.records()]).toEqual([before, []]);
  });
});

describe.concurrent('a record', () => {
  it.each([
    [OURS, GO],
    [GO, OURS],
  ])('of $0.name is read by $1.name: CHECK and DEL', async (from, to) => {
    await using one = await Tuned.open();
    const before = await one.looks();
    await one.succeed('ADD', { side: from });
    expect(await one.looks()).toEqual(TUNED);
    await one.succeed('CHECK', { side: to });
    await one.succeed('DEL', { side: to });
    expect([await one.looks(), one.records()]).toEqual([before, []]);
  });

  it('of Go stays the original when ours adds again', async () => {
    await using one = await Tuned.open();
    const before = await one.looks();
    await one.succeed('ADD', { side: GO });
    await one.succeed('ADD');
    await one.succeed('DEL');
    expect(await one.looks()).toEqual(before);
  });

  it('is never used for another link of the same name', { tags: 'tuning/record-link' }, async () => {
    await using one = await Tuned.open();
    await one.succeed('ADD');
    await one.lab.ip(one.pod.name, 'link del net1');
    await one.makeLink();
    await one.lab.ip(one.pod.name, 'link set net1 mtu 1333 address 02:5e:00:00:00:33');
    const other = await one.looks();
    await one.succeed('DEL');
    expect([await one.looks(), one.records()]).toEqual([other, []]);
  });

  it('is used for the link wherever it is: renamed by the pod, its path gone', {
    tags: 'tuning/record-link',
  }, async () => {
    await using one = await Tuned.open();
    const before = await one.looks();
    await one.succeed('ADD');
    await one.lab.ip(one.pod.name, 'link set net1 name mine');
    const other = await one.lab.pod();
    await one.makeLink(other);
    await one.lab.ip(other.name, 'link set net1 mtu 1333');
    await one.succeed('DEL', { netns: other.path });
    expect([await one.looks('mine'), one.records()]).toEqual([before, []]);
    expect((await one.looks('net1', other)).mtu).toBe(1333);
  });

  it('of another boot is not used, and goes', async () => {
    await using one = await Tuned.open();
    await one.succeed('ADD');
    const file = join(one.dataDir, 'c1_net1.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/"boot": "[^"]*"/, '"boot": "another"'));
    await one.succeed('DEL');
    expect([await one.looks(), one.records()]).toEqual([TUNED, []]);
  });

  it('goes when the namespace is gone, with and without CNI_NETNS', async () => {
    await using one = await Tuned.open();
    for (const netns of [one.pod.path, '']) {
      const pod = await one.lab.pod({ name: one.pod.name.replace(/pod\d+$/, `gone${netns.length}`) });
      await one.makeLink(pod);
      await one.succeed('ADD', { netns: pod.path });
      await one.lab.remove(pod);
      await one.succeed('DEL', { netns: netns && pod.path });
      expect(one.records()).toEqual([]);
    }
  });

  it('that cannot be written stops ADD before anything has changed', async () => {
    await using one = await Tuned.open();
    const before = await one.looks();
    mkdirSync(join(one.lab.dir, 'data'));
    writeFileSync(one.dataDir, '');
    const { code, message } = await one.fail('ADD', { conf: one.conf({ ...CHANGES, sysctl: SYSCTLS }) });
    expect([code, message]).toEqual([5, expect.stringContaining(one.dataDir)]);
    expect([await one.looks(), await one.sysctls(FILTER)]).toEqual([before, ['0']]);
  });
});

describe.concurrent('the allow-list of the node', () => {
  const conf = (one: Tuned, name = 'net.ipv4.conf.IFNAME.arp_filter') => one.conf({ sysctl: { [name]: '1' } });

  it.each(['^net.ipv4.conf.IFNAME.arp_filter$', 'x\n\n  net/ipv4/conf/IFNAME/.*  '])(
    'lets through what it names: %j',
    async (list) => {
      await using one = await Tuned.open();
      one.allow(list);
      await one.succeed('STATUS', { conf: conf(one) });
      await one.succeed('ADD', { conf: conf(one) });
      await one.succeed('ADD', { conf: conf(one, 'net/ipv4/conf/IFNAME/arp_filter') });
      expect(await one.sysctls(FILTER)).toEqual(['1']);
    },
  );

  it.each([
    ['', 'none'],
    ['^net.ipv4.conf.IFNAME.accept_redirects$', 'another'],
    ['^net.ipv4.conf.net1.arp_filter$', 'that of an interface by its name'],
  ])('%j refuses the others, and DEL does not ask it', async (list) => {
    await using one = await Tuned.open();
    one.allow(list);
    expect(await one.fail('ADD', { conf: conf(one) })).toEqual({
      code: 7,
      message: expect.stringMatching(
        /cannot set sysctl "net\.ipv4\.conf\.IFNAME\.arp_filter": no expression of "\/etc\/cni\/tuning\/allowlist\.conf" matches/,
      ),
    });
    expect(await one.sysctls(FILTER)).toEqual(['0']);
    await one.succeed('ADD', { conf: one.conf({ mtu: 1400 }) });
    await one.succeed('DEL');
  });

  it.each([OURS, GO])('with a part of a name, for $name', { tags: 'tuning/allowlist-whole' }, async (side) => {
    await using one = await Tuned.open();
    one.allow('net.ipv4.conf.IFNAME.arp');
    expect((await one.call('ADD', { conf: conf(one), side })).exitCode).toBe(side === OURS ? 1 : 0);
  });

  it('that is no list of expressions fails STATUS and ADD', async () => {
    await using one = await Tuned.open();
    one.allow('net.(');
    const message = expect.stringContaining('cannot use "net.(" of "/etc/cni/tuning/allowlist.conf"');
    expect(await one.fail('STATUS')).toEqual({ code: 50, message });
    expect(await one.fail('ADD', { conf: conf(one) })).toEqual({ code: 5, message });
  });
});

describe.concurrent('GC', () => {
  it('puts back what attachments of the network had that are no longer valid', async () => {
    await using one = await Tuned.open();
    const before = await one.looks();
    await one.succeed('ADD');
    const asked = (name: string, containerIDs: readonly string[]) => ({
      conf: one.conf({
        name,
        prevResult: undefined,
        'cni.dev/valid-attachments': containerIDs.map((containerID) => ({ containerID, ifname: 'net1' })),
      }),
    });
    await one.succeed('GC', asked('net-b', []));
    await one.succeed('GC', asked('net-a', ['c1']));
    await one.succeed('GC', { conf: one.conf({ prevResult: undefined }) });
    expect([await one.looks(), one.records()]).toEqual([TUNED, ['c1_net1.json']]);
    await one.succeed('GC', asked('net-a', ['c2']));
    expect([await one.looks(), one.records()]).toEqual([before, []]);
  });

  it('leaves records of Go and of others alone', async () => {
    await using one = await Tuned.open();
    await one.succeed('ADD', { side: GO });
    await one.succeed('GC', { conf: one.conf({ prevResult: undefined, 'cni.dev/valid-attachments': [] }) });
    expect(one.records()).toEqual(['c1_net1.json']);
  });
});

describe.concurrent('a value that can only be written', () => {
  it('is written, and CHECK does not ask for it', async () => {
    await using one = await Tuned.open();
    const conf = one.conf({ sysctl: { 'net.ipv4.route.flush': '1' } });
    await one.succeed('ADD', { conf });
    await one.succeed('CHECK', { conf });
  });

  it('of an interface with a dot goes to that interface', async () => {
    await using one = await Tuned.open();
    await one.lab.ip(one.pod.name, 'link add net1.5 type bridge');
    await one.succeed('ADD', { conf: one.conf({ sysctl: { 'net/ipv4/conf/net1.5/arp_filter': '1' } }) });
    await one.succeed('ADD', { conf: one.conf({ sysctl: { 'net.ipv4.conf.net1/5.arp_ignore': '1' } }) });
    expect(await one.sysctls('net/ipv4/conf/net1.5/arp_filter', 'net/ipv4/conf/net1.5/arp_ignore', FILTER)).toEqual([
      '1',
      '1',
      '0',
    ]);
    expect(linkOf(await stateOf(one.pod.name), 'net1')).toBeDefined();
  });
});
