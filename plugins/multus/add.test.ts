import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CniError } from '../../lib/cni/errors.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import { type FakeNode, fakeNode } from '../../lib/cni/testing/fake-node.ts';
import { multus } from './plugin.ts';

const lan = (name: string, ...types: string[]): JsonObject =>
  types.length === 1
    ? { cniVersion: '1.0.0', name, type: types[0] ?? '' }
    : { cniVersion: '1.0.0', name, plugins: types.map((type) => ({ type })) };

const confOf = (node: FakeNode, more: JsonObject = {}): JsonObject => ({
  cniVersion: '1.0.0',
  name: 'multus',
  type: 'multus',
  cniDir: node.cniDir,
  binDir: node.binDir,
  delegates: [lan('a', 'alpha'), lan('b', 'beta', 'gamma'), lan('c', 'alpha')],
  ...more,
});

const K8S = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=C1;K8S_POD_UID=U1';

const errorOf = ({ stdout, exitCode }: { stdout: string; exitCode: number }): { code: number; msg: string } => {
  expect(exitCode).toBe(1);
  return JSON.parse(stdout);
};

describe('multus ADD', () => {
  it('attaches every network in order and answers what the first one answered, in the version of the call', async () => {
    using node = fakeNode();
    node.answer = (_, { ifName, netnsPath }) => ({ interfaces: [{ name: ifName, sandbox: netnsPath }] });
    const { stdout } = await node.run(multus, 'ADD', confOf(node, { cniVersion: '1.1.0' }));
    expect(JSON.parse(stdout)).toEqual({
      cniVersion: '1.1.0',
      interfaces: [{ name: 'eth0', sandbox: '/run/netns/n1' }],
    });
    expect(node.log()).toEqual(['ADD alpha eth0', 'ADD beta net1', 'ADD gamma net1', 'ADD alpha net2']);
    expect([...node.links]).toEqual(['eth0', 'net1', 'net2']);
    expect(Object.keys(node.files()).sort()).toEqual([
      'C1',
      'results/a-C1-eth0',
      'results/b-C1-net1',
      'results/c-C1-net2',
    ]);
  });

  it('runs delegates as the worked example has it', async () => {
    using node = fakeNode();
    const conf = confOf(node, {
      delegates: [{ cniVersion: '1.0.0', name: 'cl', type: 'alpha', capabilities: { portMappings: true } }],
      runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
    });
    await node.run(multus, 'ADD', conf, { CNI_ARGS: K8S, HOME: '/root' });
    const [seen] = node.seen;
    expect(seen?.stdin).toBe(
      '{"capabilities":{"portMappings":true},"cniVersion":"1.0.0","name":"cl","runtimeConfig":{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]},"type":"alpha"}',
    );
    expect(seen?.env).toEqual({
      HOME: '/root',
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'C1',
      CNI_NETNS: '/run/netns/n1',
      CNI_IFNAME: 'eth0',
      CNI_PATH: `${node.binDir}:${node.binDir}`,
      CNI_ARGS: `${K8S.replace('=1;', '=true;')};${K8S}`,
    });
  });

  it('writes the scratch file before the first delegate runs', async () => {
    using node = fakeNode();
    let scratch = '';
    node.fail = (verb) => {
      scratch ||= verb === 'ADD' ? (node.files()['C1'] ?? '') : '';
      return undefined;
    };
    await node.run(multus, 'ADD', confOf(node, { delegates: [lan('a', 'alpha')] }));
    expect(scratch).toBe(
      '[{"Conf":{"cniVersion":"1.0.0","ipam":{},"name":"a","type":"alpha"},"ConfList":{},"Name":"a","IsFilterV4Gateway":false,"IsFilterV6Gateway":false,"Bytes":"eyJjbmlWZXJzaW9uIjoiMS4wLjAiLCJuYW1lIjoiYSIsInR5cGUiOiJhbHBoYSJ9","braid":{"netns":"/run/netns/n1","namespace":{"boot":"this boot","inode":"4:1","cookie":1},"ifName":"eth0","args":""}}]',
    );
  });

  it('uses its default folders', async () => {
    using node = fakeNode();
    const conf = confOf(node, { binDir: '', delegates: [lan('a', 'nowhere')] });
    const { msg } = errorOf(await node.run(multus, 'ADD', conf));
    expect(msg).toContain(`failed to find plugin "nowhere" in path [/opt/cni/bin ${node.binDir}]`);
  });

  it('says whose network failed and keeps the code of the delegate', async () => {
    using node = fakeNode();
    node.fail = (verb, type) => (verb === 'ADD' && type === 'gamma' ? new CniError(11, 'not now') : undefined);
    expect(errorOf(await node.run(multus, 'ADD', confOf(node), { CNI_ARGS: K8S }))).toEqual({
      code: 11,
      msg: '[demo/web/U1:b]: error adding container to network "b": plugin type="gamma" failed (add): not now',
    });
  });

  it('names a delegate of one plugin with its type and name', async () => {
    using node = fakeNode();
    node.fail = (verb) => (verb === 'ADD' ? new Error('broken') : undefined);
    expect(errorOf(await node.run(multus, 'ADD', confOf(node)))).toEqual({
      code: 999,
      msg: '[//:a]: error adding container to network "a": plugin type="alpha" name="a" failed (add): broken',
    });
  });
});

/** Every step that can fail, and what is DELed again for it. */
const FAILURES: readonly {
  readonly step: string;
  readonly prepare: (node: FakeNode) => JsonObject | undefined;
  readonly env?: Record<string, string>;
  readonly code: number;
  readonly msg: string;
  readonly undone: readonly string[];
}[] = [
  {
    step: 'reading CNI_ARGS',
    prepare: () => undefined,
    env: { CNI_ARGS: 'A=b=c' },
    code: 4,
    msg: 'Multus: error getting k8s args: cannot use CNI_ARGS: invalid pair "A=b=c"',
    undone: [],
  },
  {
    step: 'the wait for the node',
    prepare: () => ({ readinessindicatorfile: '/nowhere/ready' }),
    code: 11,
    msg: 'Multus: [//]: cannot find readiness indicator file "/nowhere/ready": timed out waiting for the condition',
    undone: [],
  },
  {
    step: 'opening the namespace',
    prepare: () => undefined,
    env: { CNI_NETNS: '/nowhere' },
    code: 999,
    msg: '[//:a]: error adding container to network "a": cannot open network namespace "/nowhere": no such file or directory',
    undone: [],
  },
  {
    step: 'the look for an interface of that name',
    prepare: (node) => void node.links.add('net1'),
    code: 999,
    msg: '[//:b]: error adding container to network "b": cannot add interface "net1": it already exists in "/run/netns/n1"',
    undone: [],
  },
  {
    step: 'finding a plugin',
    prepare: () => ({ delegates: [lan('a', 'alpha'), lan('b', 'beta', 'nowhere')] }),
    code: 999,
    msg: '[//:b]: error adding container to network "b": plugin type="nowhere" failed (add): failed to find plugin "nowhere" in path',
    undone: [],
  },
  {
    step: 'what a plugin foresees',
    prepare: (node) => {
      node.refuse = (type) => (type === 'gamma' ? new CniError(7, 'cannot use "mode"') : undefined);
      return undefined;
    },
    code: 7,
    msg: '[//:b]: error adding container to network "b": plugin type="gamma" failed (add): cannot use "mode"',
    undone: [],
  },
  {
    step: 'giving two networks one interface name',
    prepare: () => undefined,
    env: { CNI_IFNAME: 'net2' },
    code: 999,
    msg: '[//:c]: error adding container to network "c": cannot add interface "net2": network "a" of this pod has that name',
    undone: [],
  },
  {
    step: 'naming the record of a network',
    prepare: () => ({ delegates: [lan('a', 'alpha'), lan('n'.repeat(245), 'beta')] }),
    code: 7,
    msg: 'it is too long: the file name of its record would have 253 bytes, at most 250 are possible',
    undone: [],
  },
  {
    step: 'naming the scratch file',
    prepare: () => undefined,
    env: { CNI_CONTAINERID: 'c'.repeat(251) },
    code: 4,
    msg: 'it is too long: the file name of its record would have 251 bytes, at most 250 are possible',
    undone: [],
  },
  {
    step: 'telling the scratch file from the result cache',
    prepare: () => undefined,
    env: { CNI_CONTAINERID: 'results' },
    code: 4,
    msg: 'cannot use CNI_CONTAINERID "results": the result cache has that name',
    undone: [],
  },
  {
    step: 'writing the scratch file',
    prepare: (node) => ({ cniDir: join(node.binDir, 'alpha') }),
    code: 5,
    msg: 'Multus: [//]: error saving the delegates: cannot ',
    undone: [],
  },
  {
    step: 'the first network',
    prepare: (node) => failAdd(node, 'alpha eth0'),
    code: 42,
    msg: '[//:a]: error adding container to network "a": plugin type="alpha" name="a" failed (add): broken',
    undone: ['alpha eth0'],
  },
  {
    step: 'a plugin in the middle',
    prepare: (node) => failAdd(node, 'gamma net1'),
    code: 42,
    msg: '[//:b]: error adding container to network "b": plugin type="gamma" failed (add): broken',
    undone: ['gamma net1', 'alpha eth0', 'beta net1'],
  },
  {
    step: 'the last network',
    prepare: (node) => failAdd(node, 'alpha net2'),
    code: 42,
    msg: '[//:c]: error adding container to network "c"',
    undone: ['alpha net2', 'gamma net1', 'alpha eth0', 'beta net1'],
  },
  {
    step: 'the look for an interface that an executed plugin made',
    prepare: (node) => {
      node.answer = () => {
        node.links.add('net2');
        return {};
      };
      return { delegates: [lan('a', 'alpha'), lan('f', 'foreign'), lan('c', 'alpha')] };
    },
    code: 999,
    msg: '[//:c]: error adding container to network "c": cannot add interface "net2": it already exists',
    undone: ['foreign net1', 'alpha eth0'],
  },
  {
    step: 'writing the result cache',
    prepare: (node) => {
      mkdirSync(node.cniDir);
      writeFileSync(join(node.cniDir, 'results'), '');
      return undefined;
    },
    code: 5,
    msg: '[//:a]: error adding container to network "a": failed to set network "a" cached result: ',
    undone: ['alpha eth0'],
  },
  {
    step: 'reading a result',
    prepare: (node) => {
      node.print = () => '{"ips":5}';
      return { delegates: [lan('a', 'alpha'), lan('f', 'foreign')] };
    },
    code: 999,
    msg: '[//:f]: error adding container to network "f": plugin type="foreign" name="f" failed (add): ',
    undone: ['foreign net1', 'alpha eth0'],
  },
  {
    step: 'printing the result',
    prepare: () => ({ cniVersion: '0.2.0', delegates: [lan('f', 'foreign'), lan('a', 'alpha')] }),
    code: 999,
    msg: '[//:f]: error adding container to network "f": cannot print the result as version 0.2.0: it has no valid IP',
    undone: ['alpha net1', 'foreign eth0'],
  },
];

function failAdd(node: FakeNode, which: string): undefined {
  node.fail = (verb, type, ifName) =>
    verb === 'ADD' && `${type} ${ifName}` === which ? new CniError(42, 'broken') : undefined;
}

describe('multus ADD takes everything back when', () => {
  it.each(FAILURES)('$step fails', async ({ prepare, env, code, msg, undone }) => {
    using node = fakeNode();
    const conf = confOf(node, prepare(node) ?? {});
    const before = { links: [...node.links], files: node.files() };
    const answer = errorOf(await node.run(multus, 'ADD', conf, env));
    expect(answer.code).toBe(code);
    expect(answer.msg).toContain(msg);
    expect(node.log().filter((line) => line.startsWith('DEL'))).toEqual(undone.map((call) => `DEL ${call}`));
    expect(node.log().some((line) => line.startsWith('ADD'))).toBe(undone.length > 0);
    const links = [...node.links].filter((name) => before.links.includes(name) || name !== 'net2');
    expect({ links, files: node.files() }).toEqual(before);
    expect(node.stderr).toEqual([]);
  });
});

describe('multus ADD', () => {
  it('tells where its time goes', async () => {
    using node = fakeNode();
    await node.run(multus, 'ADD', confOf(node, { delegates: [lan('a', 'alpha'), lan('f', 'foreign')] }));
    const parts = ['lock', 'foresight', 'scratch file', 'alpha ADD', 'execute foreign ADD', 'multus ADD'];
    expect(node.spans.filter((name) => name !== 'foreign ADD')).toEqual(parts);
  });
});

describe('the scratch file of an ADD', () => {
  const AB = (node: FakeNode) => confOf(node, { delegates: [lan('a', 'alpha'), lan('f', 'foreign')] });

  it('is on the disk before a plugin is executed', async () => {
    using node = fakeNode();
    const { promise, resolve } = Promise.withResolvers<void>();
    node.syncFolder = () => promise;
    const adding = node.run(multus, 'ADD', AB(node));
    for (let turns = 0; turns < 50; turns++) {
      await new Promise(setImmediate);
    }
    expect(node.log()).toEqual(['ADD alpha eth0']);
    expect(Object.keys(node.files())).toContain('C1');
    resolve();
    expect((await adding).exitCode).toBe(0);
    expect(node.log()).toEqual(['ADD alpha eth0', 'ADD foreign net1']);
  });

  it.each(['alpha', 'foreign'])('that does not get to the disk ends it (%s)', async (type) => {
    using node = fakeNode();
    node.syncFolder = () => Promise.reject(new CniError('ioFailure', 'cannot sync folder "/cni": EIO (i/o error)'));
    const { code, msg } = errorOf(await node.run(multus, 'ADD', confOf(node, { delegates: [lan('a', type)] })));
    expect([code, msg]).toEqual([5, expect.stringContaining('cannot sync folder "/cni": EIO (i/o error)')]);
    expect([node.files(), [...node.links]]).toEqual([{}, []]);
  });
});

describe('multus ADD that cannot take everything back', () => {
  it('keeps the scratch file, from which DEL finishes', async () => {
    using node = fakeNode();
    node.fail = (verb, type, ifName) =>
      (verb === 'ADD' && ifName === 'net2') || (verb === 'DEL' && type === 'beta')
        ? new CniError(42, 'stuck')
        : undefined;
    const { msg } = errorOf(await node.run(multus, 'ADD', confOf(node)));
    expect(msg).toContain('failed (add): stuck');
    expect(node.stderr).toEqual([
      'cannot undo (delete what was attached): error deleting container from network "b": plugin type="beta" failed (delete): stuck; the scratch file is kept for DEL',
    ]);
    expect(Object.keys(node.files())).toEqual(['C1', 'results/b-C1-net1']);
    node.fail = () => undefined;
    expect((await node.run(multus, 'DEL', confOf(node))).exitCode).toBe(0);
    expect(node.files()).toEqual({});
    expect([...node.links]).toEqual([]);
  });

  it('puts an earlier scratch file back', async () => {
    using node = fakeNode();
    mkdirSync(node.cniDir);
    writeFileSync(join(node.cniDir, 'C1'), 'earlier');
    failAdd(node, 'alpha eth0');
    errorOf(await node.run(multus, 'ADD', confOf(node)));
    expect(node.files()).toEqual({ C1: 'earlier' });
  });
});

const BAD: readonly [string, JsonObject, string][] = [
  ['no delegates', { delegates: null }, 'cannot use "delegates": [] is empty'],
  ['an empty list', { delegates: [] }, 'cannot use "delegates": [] is empty'],
  ['a list that is none', { delegates: {} }, 'cannot use "delegates": {} is not a list'],
  ['a null delegate', { delegates: [null] }, 'cannot use "delegates.0": null is not an object'],
  ['a delegate that is a list', { delegates: [[]] }, 'cannot use "delegates.0": [] is not an object'],
  ['a null plugin', { delegates: [{ name: 'n', plugins: [null] }] }, 'cannot use "delegates.0.plugins.0": null'],
  ['no plugins', { delegates: [{ name: 'n', plugins: [] }] }, 'cannot use "delegates.0.plugins": [] has no plugin'],
  [
    'a delegate without type',
    { delegates: [lan('a', 'alpha'), { name: 'n' }] },
    'cannot use "delegates.1": {"name":"n"}',
  ],
  [
    'a delegate without name',
    { delegates: [{ type: 'alpha' }] },
    'missing network name: cannot use "delegates.0.name"',
  ],
  [
    'itself',
    { delegates: [{ name: 'n', type: 'multus' }] },
    'cannot use "delegates.0.type" "multus": multus would call',
  ],
  ['a name that no file has', { clusterNetwork: 'net' }, 'cannot find a configuration with name "net"'],
  ['an auxiliary chain without cluster network', { auxiliaryCNIChainName: 'x' }, 'cannot use "auxiliaryCNIChainName"'],
  ['a number for a path', { cniDir: 5 }, 'cannot use "cniDir": 5 is not a string'],
  ['a word for a switch', { namespaceIsolation: 'false' }, 'cannot use "namespaceIsolation": "false" is not a boolean'],
  [
    'a half port',
    { runtimeConfig: { portMappings: [{ hostPort: 0.5 }] } },
    'cannot use "runtimeConfig.portMappings.0.hostPort": 0.5',
  ],
];

describe('multus refuses, and touches nothing, with', () => {
  it.each(BAD)('%s', async (_, more, msg) => {
    using node = fakeNode();
    for (const verb of ['ADD', 'CHECK', 'STATUS', 'GC'] as const) {
      const answer = errorOf(await node.run(multus, verb, confOf(node, { cniVersion: '1.1.0', ...more })));
      expect(answer.code).toBe(7);
      expect(answer.msg).toContain(msg);
    }
    expect(node.seen).toEqual([]);
    expect(node.files()).toEqual({});
    expect((await node.run(multus, 'DEL', confOf(node, { ...more, cniDir: node.cniDir }))).exitCode).toBe(0);
  });

  it('a prevResult that is none', async () => {
    using node = fakeNode();
    const { msg } = errorOf(await node.run(multus, 'ADD', confOf(node, { prevResult: { cniVersion: '9.9.9' } })));
    expect(msg).toBe('Multus: error loading netconf: cannot read the prevResult: unsupported cniVersion "9.9.9"');
  });
});

describe('multus with a kubeconfig', () => {
  it('that cannot be read attaches nothing, and says which; DEL does without', async () => {
    using node = fakeNode();
    const conf = confOf(node, { kubeconfig: '/nowhere/kubeconfig' });
    const { msg } = errorOf(await node.run(multus, 'ADD', conf, { CNI_ARGS: K8S }));
    expect(msg).toContain('/nowhere/kubeconfig');
    expect([node.log(), node.files()]).toEqual([[], {}]);
    expect((await node.run(multus, 'DEL', conf, { CNI_ARGS: K8S })).exitCode).toBe(0);
  });

  it('needs networks of its own all the same', async () => {
    using node = fakeNode();
    const conf = confOf(node, { kubeconfig: '/nowhere/kubeconfig', delegates: undefined as never });
    expect(errorOf(await node.run(multus, 'ADD', conf, { CNI_ARGS: K8S })).msg).toContain('cannot use "delegates"');
  });
});

it('multus passes over keys of other versions', async () => {
  using node = fakeNode();
  const former = {
    defaultnetworkfile: '/x',
    defaultnetworkwaitseconds: 1,
    allowTryDeleteOnErr: true,
    cniConf: '/x',
    defaultNetwork: 'x',
  };
  expect((await node.run(multus, 'ADD', confOf(node, former))).exitCode).toBe(0);
  expect(node.log().length).toBe(4);
});
