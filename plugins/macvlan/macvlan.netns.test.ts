import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../lib/cni/json.ts';
import { overlap } from '../../lib/cni/overlap.ts';
import type { Plugin } from '../../lib/cni/plugin.ts';
import type { Result } from '../../lib/cni/result.ts';
import { runPlugin } from '../../lib/cni/run.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { fakePlugin } from '../../lib/cni/testing/fake-plugin.ts';
import { RTM_NEWLINK } from '../../lib/netlink/codec/link.ts';
import { Conversation } from '../../lib/netlink/conversation.ts';
import { NoAnswer } from '../../lib/netlink/errno.ts';
import { openTransport, type Transport } from '../../lib/netlink/transport.ts';
import { temporaryFolder } from '../../lib/sys/testing/temporary.ts';
import { failEachStep, isMadeToFail } from '../../lib/testing/failing.ts';
import { ip, Lab, PARENT, stateOf } from '../../lib/testing/lab.ts';
import { macvlan } from './plugin.ts';

/** An IPAM plugin that keeps a list of who has addresses. @param owed what is to be over before ADD succeeds */
function fakeIpam(leases: Set<string>, answer: Result, owed: () => Promise<void> = async () => undefined): Plugin {
  const own = (call: { containerId: string; ifName: string }): string => `${call.containerId}/${call.ifName}`;
  return fakePlugin('fake-ipam', {
    add: async (call, scope) => {
      leases.add(own(call));
      await scope.owe(owed());
      return answer;
    },
    del: async (call) => void leases.delete(own(call)),
  });
}

const ADDRESSED: Result = {
  interfaces: [],
  ips: [{ address: '192.0.2.5/24', gateway: '192.0.2.1' }],
  routes: [{ dst: '198.51.100.0/24' }, { dst: '0.0.0.0/0', priority: 9 }],
  dns: {},
};

class Attachment {
  readonly leases = new Set<string>();
  readonly lab: Lab;
  owed: (() => Promise<void>) | undefined;
  private readonly bin = mkdtempSync(join(tmpdir(), 'braid-test-'));
  private readonly answer: Result;

  constructor(lab: Lab, answer = ADDRESSED) {
    this.lab = lab;
    this.answer = answer;
    writeFileSync(join(this.bin, 'fake-ipam'), '');
  }

  run(verb: string, extra: JsonObject = {}, change: (scope: Scope) => Scope = (scope) => scope) {
    const document = {
      cniVersion: '1.1.0',
      name: 'n',
      type: 'macvlan',
      master: PARENT,
      ipam: { type: 'fake-ipam' },
      ...extra,
    };
    const env = {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: 'c1',
      CNI_NETNS: this.lab.podPath,
      CNI_IFNAME: 'net1',
      CNI_PATH: this.bin,
    };
    const scope = change(this.lab.scope({ 'fake-ipam': fakeIpam(this.leases, this.answer, this.owed) }));
    return runPlugin(macvlan as Plugin, { env, readStdin: () => Buffer.from(JSON.stringify(document)) }, scope);
  }

  [Symbol.dispose](): void {
    rmSync(this.bin, { recursive: true });
  }
}

/** The same host, but the answers to the first requests of a type in the node's namespace do not arrive. */
function losingAnswersTo(type: number, limit: number) {
  return (scope: Scope): Scope => {
    let lost = 0;
    const open = (): Transport => {
      const inner = openTransport(scope.node.native, { nsFd: scope.node.host.descriptor, protocol: 0 });
      let isLast = false;
      return {
        send: (bytes) => {
          isLast = lost < limit && bytes.readUInt16LE(4) === type;
          lost += Number(isLast);
          inner.send(bytes);
        },
        sendInBackground: (bytes) => inner.sendInBackground(bytes),
        receive: (operation, timeoutMs) => {
          const answer = inner.receive(operation, timeoutMs);
          if (isLast) {
            throw new NoAnswer(operation, constants.errno.ENOBUFS);
          }
          return answer;
        },
        receiveInBackground: (operation, timeoutMs) => inner.receiveInBackground(operation, timeoutMs),
        close: () => inner.close(),
      };
    };
    Object.defineProperty(scope.node.host, 'netlink', { value: new Conversation(open) });
    return scope;
  };
}

describe('macvlan ADD', () => {
  it('of several networks at once leaves executed IPAM plugins in their order', async () => {
    using lab = new Lab();
    using folder = temporaryFolder();
    const log = join(folder.path, 'log');
    const answer = `{"cniVersion":"1.1.0","ips":[{"address":"192.0.2.5/24"}]}`;
    const ipam = `#!/bin/sh\necho "$CNI_IFNAME begins" >>${log}\nsleep 0.05\necho "$CNI_IFNAME ends" >>${log}\necho '${answer}'\n`;
    writeFileSync(join(folder.path, 'slow-ipam'), ipam, { mode: 0o755 });
    const document = { cniVersion: '1.1.0', name: 'n', type: 'macvlan', master: PARENT, ipam: { type: 'slow-ipam' } };
    const attach = (ifName: string) => (scope: Scope) => {
      const env = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c1', CNI_NETNS: lab.podPath, CNI_IFNAME: ifName };
      const invocation = {
        env: { ...env, CNI_PATH: folder.path },
        readStdin: () => Buffer.from(JSON.stringify(document)),
      };
      return runPlugin(macvlan as Plugin, invocation, scope);
    };
    const outcomes = await overlap(lab.scope(), ['net1', 'net2'].map(attach));
    expect(outcomes).toMatchObject([{ value: { exitCode: 0 } }, { value: { exitCode: 0 } }]);
    expect(readFileSync(log, 'utf8')).toBe('net1 begins\nnet1 ends\nnet2 begins\nnet2 ends\n');
  });

  it('leaves nothing behind whichever of its steps fails', async () => {
    using lab = new Lab();
    using attachment = new Attachment(lab);
    const before = [stateOf(lab.node), stateOf(lab.pod)];
    const failed = await failEachStep(
      (change) => attachment.run('ADD', {}, change),
      () => attachment.run('DEL'),
      () => {
        expect([stateOf(lab.node), stateOf(lab.pod)]).toEqual(before);
        expect(attachment.leases.size).toBe(0);
      },
    );
    expect(failed.length).toBeGreaterThanOrEqual(6);
    expect(failed.filter((text) => !isMadeToFail(text))).toEqual([]);
  });

  it.each([1, 2])('finds the link that the kernel made although %i answers were lost', async (lost) => {
    using lab = new Lab();
    using attachment = new Attachment(lab);
    const before = stateOf(lab.pod);
    const { stdout, exitCode } = await attachment.run('ADD', {}, losingAnswersTo(RTM_NEWLINK, lost));
    const [link] = ip('-n', lab.pod, 'link', 'show', 'net1') as [{ address: string }];
    expect([exitCode, stdout]).toEqual([0, expect.stringContaining(link.address)]);
    await attachment.run('DEL');
    expect(stateOf(lab.pod)).toEqual(before);
  });

  it('gives addresses back when the kernel refuses them', async () => {
    using lab = new Lab();
    using attachment = new Attachment(lab, { ...ADDRESSED, routes: [{ dst: '10.0.0.0/8', gw: '203.0.113.1' }] });
    const before = stateOf(lab.pod);
    const { stdout } = await attachment.run('ADD');
    expect(stdout).toContain('cannot add route 10.0.0.0/8 via 203.0.113.1 dev net1: ENETUNREACH');
    expect(attachment.leases.size).toBe(0);
    expect(stateOf(lab.pod)).toEqual(before);
  });

  it('gives the link its addresses while they are recorded, and succeeds after that', async () => {
    using lab = new Lab();
    using attachment = new Attachment(lab);
    const { promise, resolve } = Promise.withResolvers<void>();
    attachment.owed = () => promise;
    let isDone = false;
    const adding = attachment.run('ADD').finally(() => (isDone = true));
    const addressed = () => JSON.stringify(ip('-n', lab.pod, 'address')).includes('192.0.2.5');
    await expect.poll(addressed).toBe(true);
    expect(isDone).toBe(false);
    resolve();
    expect(await adding).toMatchObject({ exitCode: 0 });
  });

  it.each([ADDRESSED, { ...ADDRESSED, routes: [{ dst: '10.0.0.0/8', gw: '203.0.113.1' }] }])(
    'takes all back when they cannot be recorded',
    async (answer) => {
      using lab = new Lab();
      using attachment = new Attachment(lab, answer);
      const before = stateOf(lab.pod);
      attachment.owed = () => Promise.reject(new Error('the disk is broken'));
      expect(await attachment.run('ADD')).toMatchObject({ exitCode: 1 });
      expect(attachment.leases.size).toBe(0);
      expect(stateOf(lab.pod)).toEqual(before);
    },
  );

  it('takes an IPAM plugin that answers no address as failed', async () => {
    using lab = new Lab();
    using attachment = new Attachment(lab, { ...ADDRESSED, ips: [] });
    const { stdout, exitCode } = await attachment.run('ADD');
    expect([exitCode, stdout]).toEqual([1, expect.stringContaining('returned no IP address')]);
    expect(attachment.leases.size).toBe(0);
    expect(ip('-n', lab.pod, 'link')).toHaveLength(1);
  });

  it('finds its parent by the default route with the lowest metric', async () => {
    using lab = new Lab();
    using attachment = new Attachment(lab);
    ip('-n', lab.node, 'addr', 'add', '203.0.113.2/24', 'dev', 'up1');
    ip('-n', lab.node, 'addr', 'add', '198.51.100.2/24', 'dev', PARENT);
    ip('-n', lab.node, 'route', 'add', 'default', 'via', '203.0.113.1', 'metric', '200');
    ip('-n', lab.node, 'route', 'add', 'default', 'via', '198.51.100.1', 'metric', '100');
    expect((await attachment.run('ADD', { master: '' })).exitCode).toBe(0);
    const [link] = ip('-n', lab.pod, '-d', 'link', 'show', 'net1') as [{ link_index: number }];
    const [parent] = ip('-n', lab.node, 'link', 'show', PARENT) as [{ ifindex: number }];
    expect(link.link_index).toBe(parent.ifindex);
    expect((await attachment.run('DEL', { master: '' })).exitCode).toBe(0);
  });
});

describe('macvlan DEL', () => {
  it('deletes nothing but a macvlan', async () => {
    using lab = new Lab();
    using attachment = new Attachment(lab);
    ip('-n', lab.pod, 'link', 'add', 'net1', 'type', 'bridge');
    expect((await attachment.run('DEL')).exitCode).toBe(0);
    expect(ip('-n', lab.pod, 'link')).toHaveLength(2);
  });

  it('removes link and addresses without the parent', async () => {
    using lab = new Lab();
    using attachment = new Attachment(lab);
    expect((await attachment.run('ADD')).exitCode).toBe(0);
    expect((await attachment.run('DEL', { master: 'gone', mtu: 'wrong' })).exitCode).toBe(0);
    expect(attachment.leases.size).toBe(0);
    expect(ip('-n', lab.pod, 'link')).toHaveLength(1);
  });
});

describe('macvlan CHECK', () => {
  const breakages: readonly (readonly [string, readonly string[], string])[] = [
    ['an address', ['addr', 'flush', 'dev', 'net1'], 'cannot find address 192.0.2.5/24'],
    ['a route', ['route', 'del', '198.51.100.0/24'], 'cannot find route 198.51.100.0/24'],
    ['the metric of a route', ['route', 'change', 'default', 'via', '192.0.2.1', 'metric', '10'], ''],
    ['the hardware address', ['link', 'set', 'net1', 'address', '02:00:00:00:00:99'], 'hardware address'],
    ['being up', ['link', 'set', 'net1', 'down'], 'is down'],
    ['the mode', ['link', 'set', 'net1', 'type', 'macvlan', 'mode', 'private'], 'does not have mode'],
    ['the MTU', ['link', 'set', 'net1', 'mtu', '1300'], 'MTU 1300, not 1400'],
    ['the link', ['link', 'del', 'net1'], 'is missing'],
  ];
  it.each(breakages)('notices that %s changed', async (_, change, message) => {
    using lab = new Lab();
    using attachment = new Attachment(lab);
    const { stdout } = await attachment.run('ADD', { mtu: 1400 });
    const prevResult = JSON.parse(stdout) as JsonObject;
    expect(await attachment.run('CHECK', { mtu: 1400, prevResult })).toEqual({ stdout: '', stderr: '', exitCode: 0 });
    if (message !== '') {
      ip('-n', lab.pod, ...change);
    } else {
      ip('-n', lab.pod, 'route', 'del', 'default');
      ip('-n', lab.pod, 'route', 'add', 'default', 'via', '192.0.2.1', 'metric', '10');
    }
    const { exitCode, stdout: error } = await attachment.run('CHECK', { mtu: 1400, prevResult });
    expect([exitCode, error]).toEqual([1, expect.stringContaining(message || 'cannot find route 0.0.0.0/0')]);
  });

  it.each([
    ['whichever table a later plugin has put it into', undefined, 0],
    ['but not where the result says which one it is in', 254, 1],
  ])('finds a route %s', async (_, table, expected) => {
    using lab = new Lab();
    const routes = [{ dst: '0.0.0.0/0', ...(table === undefined ? {} : { table }) }];
    using attachment = new Attachment(lab, { ...ADDRESSED, routes });
    const { stdout } = await attachment.run('ADD');
    const prevResult = JSON.parse(stdout) as JsonObject;
    expect((await attachment.run('CHECK', { prevResult })).exitCode).toBe(0);
    ip('-n', lab.pod, 'route', 'del', 'default');
    ip('-n', lab.pod, 'route', 'add', 'default', 'via', '192.0.2.1', 'dev', 'net1', 'table', '100');
    expect((await attachment.run('CHECK', { prevResult })).exitCode).toBe(expected);
  });
});
