import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CniError } from '../../lib/cni/errors.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import { type FakeNode, fakeNode } from '../../lib/cni/testing/fake-node.ts';
import { multus } from './plugin.ts';

const lan = (name: string, type: string, cniVersion = '1.1.0'): JsonObject => ({ cniVersion, name, type });

const confOf = (node: FakeNode, more: JsonObject = {}): JsonObject => ({
  cniVersion: '1.1.0',
  name: 'multus',
  type: 'multus',
  cniDir: node.cniDir,
  binDir: node.binDir,
  delegates: [lan('a', 'alpha'), lan('b', 'beta')],
  ...more,
});

describe('multus CHECK', () => {
  it('checks every network with its result', async () => {
    using node = fakeNode();
    await node.run(multus, 'ADD', confOf(node));
    node.seen.length = 0;
    expect(await node.run(multus, 'CHECK', confOf(node))).toEqual({ stdout: '', stderr: '', exitCode: 0 });
    expect(node.log()).toEqual(['CHECK alpha eth0', 'CHECK beta net1']);
    expect(node.seen[1]?.stdin).toBe(
      '{"cniVersion":"1.1.0","name":"b","prevResult":{"cniVersion":"1.1.0","interfaces":[{"name":"net1","sandbox":"/run/netns/n1"}]},"type":"beta"}',
    );
  });

  it('checks what was attached, not what would be today', async () => {
    using node = fakeNode();
    await node.run(multus, 'ADD', confOf(node));
    node.seen.length = 0;
    await node.run(multus, 'CHECK', confOf(node, { delegates: [lan('z', 'gamma')] }));
    expect(node.log()).toEqual(['CHECK alpha eth0', 'CHECK beta net1']);
  });

  it.each(['absent', 'corrupt'])('checks the configured networks when the scratch file is %s', async (state) => {
    using node = fakeNode();
    await node.run(multus, 'ADD', confOf(node));
    node.seen.length = 0;
    rmSync(join(node.cniDir, 'C1'));
    if (state === 'corrupt') {
      writeFileSync(join(node.cniDir, 'C1'), '');
    }
    await node.run(multus, 'CHECK', confOf(node));
    expect(node.log()).toEqual(['CHECK alpha eth0', 'CHECK beta net1']);
  });

  it('reports every network that fails, with the code of the first', async () => {
    using node = fakeNode();
    await node.run(multus, 'ADD', confOf(node));
    node.fail = (_, type) => new CniError(type === 'alpha' ? 42 : 43, `${type} is gone`);
    const { stdout } = await node.run(multus, 'CHECK', confOf(node));
    expect(JSON.parse(stdout)).toEqual({
      code: 42,
      msg: '[//:a]: error checking container in network "a": plugin type="alpha" name="a" failed (check): alpha is gone / [//:b]: error checking container in network "b": plugin type="beta" name="b" failed (check): beta is gone',
    });
  });

  it('fails for a network that is too old to be checked', async () => {
    using node = fakeNode();
    const conf = confOf(node, { delegates: [lan('a', 'alpha', '0.3.1')] });
    expect(JSON.parse((await node.run(multus, 'CHECK', conf)).stdout)).toEqual({
      code: 1,
      msg: '[//:a]: error checking container in network "a": configuration version "0.3.1" does not support the CHECK command',
    });
  });
});

describe('multus STATUS', () => {
  it('asks the first network only', async () => {
    using node = fakeNode();
    expect((await node.run(multus, 'STATUS', confOf(node))).exitCode).toBe(0);
    expect(node.log()).toEqual(['STATUS alpha']);
    expect(node.seen[0]?.stdin).toBe('{"cniVersion":"1.1.0","name":"a","type":"alpha"}');
    expect(node.seen[0]?.env).toMatchObject({ CNI_CONTAINERID: '', CNI_NETNS: '', CNI_ARGS: '', CNI_IFNAME: '' });
  });

  it('hands on its error as it is', async () => {
    using node = fakeNode();
    node.fail = () => new CniError('notAvailable', 'no addresses', { details: 'in 10.0.0.0/24' });
    expect(JSON.parse((await node.run(multus, 'STATUS', confOf(node))).stdout)).toEqual({
      code: 50,
      msg: 'no addresses',
      details: 'in 10.0.0.0/24',
    });
  });

  it('does not ask a network older than STATUS', async () => {
    using node = fakeNode();
    await node.run(multus, 'STATUS', confOf(node, { delegates: [lan('a', 'alpha', '1.0.0')] }));
    expect(node.seen).toEqual([]);
  });
});

describe('the readiness file', () => {
  it('is waited for, second by second, 45 of them', async () => {
    using node = fakeNode();
    const conf = confOf(node, { readinessindicatorfile: '/nowhere/ready' });
    expect(JSON.parse((await node.run(multus, 'STATUS', conf)).stdout)).toEqual({
      code: 50,
      msg: 'Multus: cannot find readiness indicator file "/nowhere/ready": timed out waiting for the condition',
    });
    expect(node.slept).toEqual(new Array(45).fill(1000));
    expect(node.seen).toEqual([]);
  });

  it.each(['ADD', 'STATUS', 'GC'] as const)('lets %s go on as soon as it is there', async (verb) => {
    using node = fakeNode();
    const file = join(node.binDir, 'ready');
    node.onSleep = () => node.slept.length === 3 && writeFileSync(file, '');
    const outcome = await node.run(multus, verb, confOf(node, { readinessindicatorfile: file }));
    expect(outcome.exitCode).toBe(0);
    expect(node.slept.length).toBe(3);
    expect(node.seen.length).toBeGreaterThan(0);
  });

  it('is not asked for by CHECK', async () => {
    using node = fakeNode();
    const conf = confOf(node, { readinessindicatorfile: '/nowhere/ready' });
    expect((await node.run(multus, 'CHECK', conf)).exitCode).toBe(0);
    expect(node.slept).toEqual([]);
  });
});
