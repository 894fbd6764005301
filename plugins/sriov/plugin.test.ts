import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { PodCall } from '../../lib/cni/call.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import { Stdin } from '../../lib/cni/stdin.ts';
import { sriov } from './plugin.ts';
import { ALL, attached, Bench, messageIn, OK } from './testing/bench.ts';
import { link, OWN_MAC } from './testing/fake-nic.ts';

describe('validate', () => {
  const refused = (conf: JsonObject, args: string) => () =>
    sriov.validate({
      document: conf,
      stdin: Stdin.saying(conf),
      args,
      version: '1.1.0',
    } as PodCall<JsonObject>);

  it('looks at CNI_ARGS too: multus asks it before any network of a pod is attached', () => {
    expect(refused({ type: 'sriov' }, 'IgnoreUnknown=1;MAC=02:00:00:00:00:07')).not.toThrow();
    expect(refused({ type: 'sriov' }, 'MAC=zz')).toThrow(expect.objectContaining({ code: 4 }));
    expect(refused({ type: 'sriov' }, `MAC=${'z'.repeat(200_000)}`)).toThrow(/^.{1,2000}$/);
  });

  it('lets the caller pass the device, but not a wrong one', () => {
    expect(refused({ type: 'sriov', deviceID: 'eth0' }, '')).toThrow(expect.objectContaining({ code: 7 }));
  });
});

describe('CHECK', () => {
  it('finds nothing after ADD', async () => {
    const { bench, prevResult } = await attached({ ...ALL, ipam: {} });
    using _ = bench;
    expect(await bench.run('CHECK', { ...ALL, ipam: {}, prevResult })).toEqual({ ...OK, stdout: '' });
  });

  it.each<[string, (bench: Bench) => void, string]>([
    [
      'a VLAN',
      ({ nic }) => void Object.assign(nic.vfs[1] ?? {}, { vlan: 5 }),
      'does not have vlan 100, qos 3, 802.1ad',
    ],
    ['trust', ({ nic }) => void Object.assign(nic.vfs[1] ?? {}, { trust: 0 }), 'VF 1 of "p1" does not have trust on'],
    ['the MTU', ({ nic }) => void Object.assign(nic.interface ?? {}, { mtu: 1500 }), 'has MTU 1500, not 1400'],
    ['the address', ({ nic }) => void Object.assign(nic.interface ?? {}, { mac: OWN_MAC }), 'has hardware address'],
    ['down', ({ nic }) => void Object.assign(nic.interface ?? {}, { flags: 0 }), 'link "net1" is down'],
    ['a missing link', ({ nic }) => void nic.pod.links.pop(), 'link "net1" is missing in the container'],
    [
      'another device',
      ({ nic }) => {
        nic.pod.links.pop();
        nic.pod.links.push(link({ index: 9, name: 'net1', parentDev: '0000:09:00.0' }));
      },
      'is not the interface of device',
    ],
    ['no record', (bench) => rmSync(join(bench.stateDir, 'c1-net1')), 'no record of interface "net1"'],
  ])('finds %s', async (_, happens, message) => {
    const { bench, prevResult } = await attached({ ...ALL, ipam: {} });
    using _bench = bench;
    happens(bench);
    const { stdout } = await bench.run('CHECK', { ...ALL, ipam: {}, prevResult });
    expect(JSON.parse(stdout)).toMatchObject({ code: 999, msg: expect.stringContaining(message) });
  });

  it('asks IPAM, and misses addresses', async () => {
    const { bench, prevResult } = await attached();
    using _ = bench;
    const { stdout } = await bench.run('CHECK', { ...ALL, prevResult });
    expect(messageIn(stdout)).toContain('cannot find address 192.0.2.5/24');
    expect(bench.ipamCalls).toEqual(['ADD', 'CHECK']);
  });
});

describe('GC', () => {
  const valid = (...ids: readonly string[]): JsonObject => ({
    'cni.dev/valid-attachments': ids.map((containerID) => ({ containerID, ifname: 'net1' })),
  });

  it('frees VFs that the runtime does not know', async () => {
    const { bench, before } = await attached();
    using _ = bench;
    expect(await bench.run('GC', valid('c2'))).toEqual({ ...OK, stdout: '' });
    expect([bench.nic.picture(), bench.files(), bench.ipamCalls.at(-1)]).toEqual([before, {}, 'GC']);
  });

  it.each<[string, JsonObject]>([
    ['what it knows', valid('c1')],
    ['another network', { ...valid(), name: 'red' }],
    ['everything without a list of valid attachments', {}],
  ])('leaves %s', async (_, conf) => {
    const { bench } = await attached();
    using _bench = bench;
    const before = [bench.nic.picture(), bench.files()];
    expect(await bench.run('GC', conf)).toMatchObject(OK);
    expect([bench.nic.picture(), bench.files()]).toEqual(before);
  });
});

describe('STATUS', () => {
  it('asks IPAM, and needs no device', async () => {
    using bench = new Bench();
    expect(await bench.run('STATUS', { deviceID: '' })).toEqual({ ...OK, stdout: '' });
    expect(bench.ipamCalls).toEqual(['STATUS']);
  });

  it('reports missing PCI devices', async () => {
    using bench = new Bench();
    rmSync(join(bench.nic.sysfs, 'bus'), { recursive: true });
    expect(JSON.parse((await bench.run('STATUS')).stdout)).toMatchObject({ code: 50 });
  });
});

describe('without CNI_COMMAND', () => {
  it('says what it is', { tags: 'sriov/about' }, async () => {
    using bench = new Bench();
    const told = expect.stringContaining('sriov: moves a virtual function');
    expect(await bench.run('ADD', {}, { CNI_COMMAND: '' })).toMatchObject({ exitCode: 0, stdout: '', stderr: told });
  });
});
