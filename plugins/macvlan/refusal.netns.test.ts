import { describe, expect, it } from 'vitest';
import { CniError } from '../../lib/cni/errors.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { Plugin } from '../../lib/cni/plugin.ts';
import { runPlugin } from '../../lib/cni/run.ts';
import { findLink } from '../../lib/link/observe.ts';
import { withReason } from '../../lib/link/refusal.ts';
import { errnoError, NoAnswer } from '../../lib/netlink/errno.ts';
import { ip, Lab, PARENT, stateOf } from '../../lib/testing/lab.ts';
import { MACVLAN, REFUSALS } from './kind.ts';
import { macvlan } from './plugin.ts';

const MAC = '02:00:00:00:00:77';
const SIBLING = `link add sibling link ${PARENT} address ${MAC} up type macvlan`;

function run(lab: Lab, verb: string, conf: JsonObject = {}) {
  const document = { cniVersion: '1.1.0', name: 'n', type: 'macvlan', master: PARENT, ...conf };
  const attachment = { CNI_CONTAINERID: 'c1', CNI_NETNS: lab.podPath, CNI_IFNAME: 'net1' };
  const env = { CNI_COMMAND: verb, CNI_PATH: '/nowhere', ...(verb === 'STATUS' ? {} : attachment) };
  return runPlugin(macvlan as Plugin, { env, readStdin: () => Buffer.from(JSON.stringify(document)) }, lab.scope());
}

interface Case {
  readonly what: string;
  readonly node?: readonly string[];
  readonly pod?: readonly string[];
  readonly conf?: JsonObject;
  readonly says: string;
}

describe('a macvlan that the kernel refuses', () => {
  it.each<Case>([
    {
      what: 'its parent is a port of a bridge',
      node: ['link add br0 type bridge', `link set ${PARENT} master br0`],
      says: `EBUSY (device or resource busy): parent "${PARENT}" is enslaved to a bridge`,
    },
    {
      what: 'it would be the second on a parent in passthru mode',
      node: [`link add sibling link ${PARENT} type macvlan mode passthru`],
      says: `EINVAL (invalid argument): parent "${PARENT}" has a macvlan in mode "passthru"`,
    },
    {
      what: 'it shall be in passthru mode and is not the first',
      node: [SIBLING],
      conf: { mode: 'passthru' },
      says: `parent "${PARENT}" has other macvlans, and one in mode "passthru" must be the only one`,
    },
    { what: 'its parent is the loopback', conf: { master: 'lo' }, says: 'parent "lo" is the loopback' },
    {
      what: 'its parent is no Ethernet device',
      node: ['tuntap add tun0 mode tun'],
      conf: { master: 'tun0' },
      says: 'parent "tun0" is not an Ethernet device',
    },
    {
      what: 'its name is taken',
      pod: ['link add net1 type bridge'],
      says: 'EEXIST (file exists): "net1" is taken there by a bridge',
    },
    {
      what: 'its name is an alternative name',
      pod: ['link add br0 type bridge', 'link property add dev br0 altname net1'],
      says: 'EEXIST (file exists): "net1" is taken there, as an alternative name of link "br0"',
    },
    {
      what: 'its parent has its hardware address',
      node: [`link set ${PARENT} address ${MAC}`],
      conf: { mac: MAC },
      says: `EADDRINUSE (address already in use): parent "${PARENT}" has hardware address ${MAC} itself`,
    },
    {
      what: 'another one has its hardware address',
      node: [SIBLING],
      conf: { mac: MAC },
      says: `parent "${PARENT}" has another macvlan with hardware address ${MAC}`,
    },
  ])('is refused with the reason: $what', async ({ node = [], pod = [], conf = {}, says }) => {
    using lab = new Lab();
    for (const [namespace, texts] of [
      [lab.node, node],
      [lab.pod, pod],
    ] as const) {
      for (const text of texts) {
        ip('-n', namespace, ...text.split(' '));
      }
    }
    const before = stateOf(lab.pod);
    const { stdout, exitCode } = await run(lab, 'ADD', conf);
    expect([exitCode, (JSON.parse(stdout) as { msg: string }).msg]).toEqual([1, expect.stringContaining(says)]);
    expect(stateOf(lab.pod)).toEqual(before);
  });

  it('is refused by STATUS in the same words', async () => {
    using lab = new Lab();
    expect((await run(lab, 'STATUS', { master: 'lo' })).stdout).toContain(
      'cannot use \\"master\\" \\"lo\\": it is the loopback',
    );
  });

  it('for a reason that nobody sees is refused in the words of the kernel alone', async () => {
    using lab = new Lab();
    const { host: netns } = lab.scope().node;
    using target = lab.openPod();
    const parent = (await findLink(netns.netlink, PARENT)) ?? expect.fail('no parent');
    const link = { name: 'net1', parent, mtu: undefined, mac: undefined };
    const plan = { ...link, kind: MACVLAN, attributes: { mode: 'bridge', bcQueueLen: 0 } } as const;
    const asked = { from: netns.netlink, target, plan };
    for (const error of [
      errnoError('create it', 12), // ENOMEM
      errnoError('create it', 19), // ENODEV, and the parent is there
      new NoAnswer('create it', 110),
      new CniError('internal', 'something else'),
    ]) {
      await expect(withReason(asked, REFUSALS, 'creation', () => Promise.reject(error))).rejects.toBe(error);
    }
  });
});

describe('a macvlan in passthru mode', () => {
  it('wears the hardware address that is asked for, and its parent gets its own back', async () => {
    using lab = new Lab();
    const before = ip('-n', lab.node, 'link', 'show', PARENT);
    const { stdout } = await run(lab, 'ADD', { mode: 'passthru', mac: MAC });
    const result = JSON.parse(stdout) as JsonObject;
    expect(result).toMatchObject({ interfaces: [{ name: 'net1', mac: MAC }] });
    expect(ip('-n', lab.pod, 'link', 'show', 'net1')).toMatchObject([{ address: MAC, operstate: 'UP' }]);
    expect((await run(lab, 'CHECK', { mode: 'passthru', mac: MAC, prevResult: result })).exitCode).toBe(0);
    expect((await run(lab, 'DEL', { mode: 'passthru', mac: MAC })).exitCode).toBe(0);
    expect(ip('-n', lab.node, 'link', 'show', PARENT)).toEqual(before);
  });

  it('without one takes that of its parent', async () => {
    using lab = new Lab();
    const [parent] = ip('-n', lab.node, 'link', 'show', PARENT) as [{ address: string }];
    expect((await run(lab, 'ADD', { mode: 'passthru' })).exitCode).toBe(0);
    expect(ip('-n', lab.pod, 'link', 'show', 'net1')).toMatchObject([{ address: parent.address }]);
  });
});
