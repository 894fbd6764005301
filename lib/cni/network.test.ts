import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CniError } from './errors.ts';
import type { Json, JsonObject } from './json.ts';
import {
  addNetwork,
  checkNetwork,
  delNetwork,
  foreseeNetwork,
  gcNetwork,
  type RuntimeConf,
  statusNetwork,
} from './network.ts';
import { type NetworkList, parseNetwork } from './network-list.ts';
import { type FakeNode, fakeNode } from './testing/fake-node.ts';

const listOf = (document: JsonObject): NetworkList => parseNetwork(document);

const runtimeOf = (node: FakeNode, more: Partial<RuntimeConf> = {}): RuntimeConf => ({
  containerId: 'C1',
  netns: node.netnsPath,
  ifName: 'lan0',
  args: [],
  capabilityArgs: {},
  timeoutMs: 10_000,
  cacheDir: node.cniDir,
  path: [node.binDir],
  env: {},
  ...more,
});

const chain = (cniVersion: string, ...types: string[]): JsonObject => ({
  ...(cniVersion === '' ? {} : { cniVersion }),
  name: 'lan',
  plugins: types.map((type) => ({ type })),
});

const stdins = (node: FakeNode): Json[] => node.seen.map(({ stdin }) => JSON.parse(stdin) as Json);

const failing = (node: FakeNode, ...calls: string[]): void => {
  node.fail = (verb, type) => (calls.includes(`${verb} ${type}`) ? new CniError(42, `${type} is broken`) : undefined);
};

describe('addNetwork', () => {
  it('hands each plugin name, version, capabilities and the result of the one before, keys in byte order', async () => {
    using node = fakeNode();
    const list = listOf({
      cniVersion: '1.0.0',
      name: 'lan',
      plugins: [
        {
          type: 'alpha',
          master: 'eth1',
          zeta: { b: 1, a: [{ d: 1, c: '<' }] },
          capabilities: { ips: true, mac: false },
        },
        { type: 'beta', name: 'own', capabilities: { mac: true, bandwidth: true, portMappings: true } },
      ],
    });
    const capabilityArgs = {
      portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
      mac: '02:00:00:00:00:09',
      ips: ['192.168.7.9/24'],
    };
    await addNetwork(
      node.scope,
      list,
      runtimeOf(node, {
        capabilityArgs,
        args: [
          ['A', '1'],
          ['B', ''],
        ],
        env: { HOME: '/root' },
      }),
    );
    expect(node.seen.map(({ stdin }) => stdin)).toEqual([
      '{"capabilities":{"ips":true,"mac":false},"cniVersion":"1.0.0","master":"eth1","name":"lan","runtimeConfig":{"ips":["192.168.7.9/24"]},"type":"alpha","zeta":{"a":[{"c":"\\u003c","d":1}],"b":1}}',
      '{"capabilities":{"bandwidth":true,"mac":true,"portMappings":true},"cniVersion":"1.0.0","name":"lan","prevResult":{"cniVersion":"1.0.0","interfaces":[{"name":"lan0","sandbox":"/run/netns/n1"}]},"runtimeConfig":{"mac":"02:00:00:00:00:09","portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]},"type":"beta"}',
    ]);
    expect(node.seen[1]?.env).toEqual({
      HOME: '/root',
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'C1',
      CNI_NETNS: '/run/netns/n1',
      CNI_ARGS: 'A=1;B=',
      CNI_IFNAME: 'lan0',
      CNI_PATH: node.binDir,
    });
  });

  it('writes the result cache as libcni 1.3.0 does', async () => {
    using node = fakeNode();
    const document =
      '{"name":"lan","cniVersion":"1.0.0","disableCheck":"false","x":"<a>","plugins":[{"type":"foreign","master":"eth1","Name":"q","capabilities":{"ips":true,"portMappings":true}}]}';
    node.print = () => '{"ips":[{"version":"4","interface":0,"address":"10.0.0.1/24"}],"dns":{},"cniVersion":"0.4.0"}';
    await addNetwork(
      node.scope,
      parseNetwork(JSON.parse(document) as JsonObject, '', Buffer.from(document)),
      runtimeOf(node, {
        args: [
          ['IgnoreUnknown', 'true'],
          ['K8S_POD_UID', ''],
        ],
        capabilityArgs: {
          ips: ['192.168.7.9/24'],
          mac: '02:00:00:00:00:09',
          portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
        },
      }),
    );
    const config = Buffer.from(document).toString('base64');
    expect(node.files()).toEqual({
      'results/lan-C1-lan0': `{"kind":"cniCacheV1","containerId":"C1","config":"${config}","ifName":"lan0","networkName":"lan","netns":"/run/netns/n1","cniArgs":[["IgnoreUnknown","true"],["K8S_POD_UID",""]],"capabilityArgs":{"ips":["192.168.7.9/24"],"mac":"02:00:00:00:00:09","portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]},"result":{"cniVersion":"0.4.0","dns":{},"ips":[{"address":"10.0.0.1/24","interface":0,"version":"4"}]}}`,
    });
  });

  it('keeps what it does not know of a result, for the next plugin and in the cache', async () => {
    using node = fakeNode();
    node.print = () => '{"zone":{"b":1,"a":2},"interfaces":[{"name":"lan0","color":"red"}]}';
    await addNetwork(node.scope, listOf(chain('1.1.0', 'foreign', 'alpha')), runtimeOf(node));
    expect(node.seen[1]?.stdin).toBe(
      '{"cniVersion":"1.1.0","name":"lan","prevResult":{"cniVersion":"1.1.0","interfaces":[{"color":"red","name":"lan0"}],"zone":{"a":2,"b":1}},"type":"alpha"}',
    );
  });

  it('takes null for an empty result, in the version of the network', async () => {
    using node = fakeNode();
    node.print = () => 'null';
    const added = await addNetwork(node.scope, listOf(chain('', 'foreign')), runtimeOf(node));
    expect(added.version).toBe('0.1.0');
    expect(node.seen[0]?.stdin).toBe('{"cniVersion":"","name":"lan","type":"foreign"}');
  });

  it.each([
    ['', 'Unexpected end of JSON input'],
    ['[]', 'it is not an object'],
    ['{"cniVersion":"9.9.9"}', 'unsupported cniVersion "9.9.9"'],
    ['{"ips":[{"address":"x"}]}', '"x" is not a CIDR address'],
  ])('refuses the output %j', async (printed, why) => {
    using node = fakeNode();
    node.print = () => printed;
    const failure = addNetwork(node.scope, listOf(chain('1.0.0', 'foreign')), runtimeOf(node));
    await expect(failure).rejects.toMatchObject({ code: 999, message: expect.stringContaining(why) });
    await expect(failure).rejects.toThrow('plugin type="foreign" failed (add): ');
  });

  it('stops at the first failure, keeps its code, names the plugin and takes nothing back', async () => {
    using node = fakeNode();
    failing(node, 'ADD beta');
    const list = listOf({
      cniVersion: '1.0.0',
      name: 'lan',
      plugins: [{ type: 'alpha' }, { type: 'beta', name: 'b' }],
    });
    await expect(addNetwork(node.scope, list, runtimeOf(node))).rejects.toMatchObject({
      code: 42,
      message: 'plugin type="beta" name="b" failed (add): beta is broken',
    });
    expect(node.log()).toEqual(['ADD alpha lan0', 'ADD beta lan0']);
    expect(node.files()).toEqual({});
  });

  it('says where it looked for a plugin that is not there', async () => {
    using node = fakeNode();
    await expect(addNetwork(node.scope, listOf(chain('1.0.0', 'nowhere')), runtimeOf(node))).rejects.toThrow(
      `plugin type="nowhere" failed (add): failed to find plugin "nowhere" in path [${node.binDir}]`,
    );
  });

  it('fails when the cache cannot be written', async () => {
    using node = fakeNode();
    mkdirSync(node.cniDir);
    writeFileSync(join(node.cniDir, 'results'), '');
    await expect(addNetwork(node.scope, listOf(chain('1.0.0', 'alpha')), runtimeOf(node))).rejects.toThrow(
      'failed to set network "lan" cached result: ',
    );
  });

  it.each(['', '-lan', 'a/b'])('refuses the name %j', async (name) => {
    using node = fakeNode();
    const list = listOf({ ...chain('1.0.0', 'alpha'), name });
    await expect(addNetwork(node.scope, list, runtimeOf(node))).rejects.toMatchObject({ code: 7 });
    expect(node.seen).toEqual([]);
  });
});

describe('delNetwork', () => {
  it('runs the plugins in reverse with the recorded result and forgets it', async () => {
    using node = fakeNode();
    const list = listOf(chain('0.4.0', 'alpha', 'beta'));
    await addNetwork(node.scope, list, runtimeOf(node));
    node.seen.length = 0;
    await delNetwork(node.scope, list, runtimeOf(node));
    expect(node.log()).toEqual(['DEL beta lan0', 'DEL alpha lan0']);
    const prevResult = { cniVersion: '0.4.0', dns: {}, interfaces: [{ name: 'lan0', sandbox: '/run/netns/n1' }] };
    expect(stdins(node)).toEqual([
      { cniVersion: '0.4.0', name: 'lan', prevResult, type: 'beta' },
      { cniVersion: '0.4.0', name: 'lan', prevResult, type: 'alpha' },
    ]);
    expect(node.files()).toEqual({});
  });

  it('turns the recorded result into the version of the network', async () => {
    using node = fakeNode();
    node.answer = () => ({ version: '0.4.0', ips: [{ address: '10.0.0.1/24', interface: 0 }] });
    const list = listOf(chain('1.0.0', 'alpha'));
    await addNetwork(node.scope, list, runtimeOf(node));
    await delNetwork(node.scope, list, runtimeOf(node));
    expect(stdins(node)[1]).toMatchObject({
      prevResult: { cniVersion: '1.0.0', ips: [{ address: '10.0.0.1/24', interface: 0 }] },
    });
  });

  it('gives no result to a network older than 0.4.0', async () => {
    using node = fakeNode();
    const list = listOf(chain('0.3.1', 'alpha'));
    await addNetwork(node.scope, list, runtimeOf(node));
    await delNetwork(node.scope, list, runtimeOf(node));
    expect(node.seen[1]?.stdin).toBe('{"cniVersion":"0.3.1","name":"lan","type":"alpha"}');
  });

  it('goes on after a failure, reports all, and keeps the record for the next try', async () => {
    using node = fakeNode();
    const list = listOf(chain('1.0.0', 'alpha', 'beta', 'gamma'));
    await addNetwork(node.scope, list, runtimeOf(node));
    failing(node, 'DEL gamma', 'DEL alpha');
    await expect(delNetwork(node.scope, list, runtimeOf(node))).rejects.toMatchObject({
      code: 42,
      message:
        'plugin type="gamma" failed (delete): gamma is broken / plugin type="alpha" failed (delete): alpha is broken',
    });
    expect(node.log().slice(3)).toEqual(['DEL gamma lan0', 'DEL beta lan0', 'DEL alpha lan0']);
    expect(Object.keys(node.files())).toEqual(['results/lan-C1-lan0']);
  });

  it.each(['', '{', '{"kind":"cniCacheV9"}', '[]'])('goes on without a record that reads %j', async (content) => {
    using node = fakeNode();
    mkdirSync(join(node.cniDir, 'results'), { recursive: true });
    writeFileSync(join(node.cniDir, 'results/lan-C1-lan0'), content);
    await delNetwork(node.scope, listOf(chain('1.0.0', 'alpha')), runtimeOf(node));
    expect(node.seen[0]?.stdin).toBe('{"cniVersion":"1.0.0","name":"lan","type":"alpha"}');
    expect(node.files()).toEqual({});
  });
});

describe('delNetwork and its record', () => {
  it.each([
    ['cannot be read', (file: string) => symlinkSync('/proc/self/mem', file)],
    ['is cut', (file: string) => writeFileSync(file, '{"kind"')],
  ])('goes on without one that %s, and forgets it', async (_, spoil) => {
    using node = fakeNode();
    const list = listOf(chain('1.0.0', 'alpha'));
    await addNetwork(node.scope, list, runtimeOf(node));
    rmSync(join(node.cniDir, 'results/lan-C1-lan0'));
    spoil(join(node.cniDir, 'results/lan-C1-lan0'));
    await delNetwork(node.scope, list, runtimeOf(node));
    expect(node.seen[1]?.stdin).toBe('{"cniVersion":"1.0.0","name":"lan","type":"alpha"}');
    expect(readdirSync(join(node.cniDir, 'results'))).toEqual([]);
  });
});

describe('foreseeNetwork', () => {
  it('asks each plugin of this build, as ADD will call it, and runs none', async () => {
    using node = fakeNode();
    const asked: string[] = [];
    node.refuse = (type, ifName) => void asked.push(`${type} ${ifName}`);
    await foreseeNetwork(node.scope, listOf(chain('1.0.0', 'alpha', 'foreign', 'beta')), runtimeOf(node));
    expect(asked).toEqual(['alpha lan0', 'beta lan0']);
    expect(node.seen).toEqual([]);
  });

  it.each<[string, JsonObject, Partial<RuntimeConf>, number, string]>([
    [
      'a plugin that is not there',
      chain('1.0.0', 'alpha', 'nowhere'),
      {},
      999,
      'type="nowhere" failed (add): failed to find',
    ],
    ['a version that nobody speaks', chain('9.9.9', 'alpha'), {}, 1, 'unsupported cniVersion "9.9.9"'],
    ['a record that cannot be named', chain('1.0.0', 'alpha'), { containerId: 'c'.repeat(250) }, 4, 'CNI_CONTAINERID'],
    [
      'an interface that cannot be named',
      chain('1.0.0', 'alpha'),
      { ifName: 'a/b' },
      4,
      'failed (add): cannot use CNI_IFNAME',
    ],
  ])('refuses %s', async (_, document, runtime, code, message) => {
    using node = fakeNode();
    const refused = foreseeNetwork(node.scope, listOf(document), runtimeOf(node, runtime));
    await expect(refused).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    expect(node.seen).toEqual([]);
  });
});

describe('checkNetwork', () => {
  it('runs the plugins in order, each with the last result', async () => {
    using node = fakeNode();
    const list = listOf(chain('1.0.0', 'alpha', 'beta'));
    await addNetwork(node.scope, list, runtimeOf(node));
    node.seen.length = 0;
    await checkNetwork(node.scope, list, runtimeOf(node));
    expect(node.log()).toEqual(['CHECK alpha lan0', 'CHECK beta lan0']);
    expect(stdins(node)[0]).toMatchObject({ prevResult: { cniVersion: '1.0.0' } });
  });

  it('is an error before 0.4.0 and nothing with disableCheck', async () => {
    using node = fakeNode();
    await expect(checkNetwork(node.scope, listOf(chain('0.3.1', 'alpha')), runtimeOf(node))).rejects.toMatchObject({
      code: 1,
      message: 'configuration version "0.3.1" does not support the CHECK command',
    });
    await checkNetwork(node.scope, listOf({ ...chain('1.0.0', 'alpha'), disableCheck: 'TRUE' }), runtimeOf(node));
    expect(node.seen).toEqual([]);
  });

  it('fails on a record that cannot be read', async () => {
    using node = fakeNode();
    mkdirSync(join(node.cniDir, 'results'), { recursive: true });
    writeFileSync(join(node.cniDir, 'results/lan-C1-lan0'), '{');
    await expect(checkNetwork(node.scope, listOf(chain('1.0.0', 'alpha')), runtimeOf(node))).rejects.toThrow(
      'cannot read the cached result',
    );
  });
});

describe('statusNetwork', () => {
  it('asks each plugin and hands on its error as it is', async () => {
    using node = fakeNode();
    const list = listOf(chain('1.1.0', 'alpha', 'beta'));
    await statusNetwork(node.scope, list, runtimeOf(node, { containerId: '', netns: '', ifName: '' }));
    expect(node.seen[1]?.stdin).toBe('{"cniVersion":"1.1.0","name":"lan","type":"beta"}');
    node.fail = () => new CniError('notAvailable', 'no addresses left');
    await expect(statusNetwork(node.scope, list, runtimeOf(node))).rejects.toMatchObject({
      code: 50,
      message: 'no addresses left',
    });
  });

  it('does not ask a network older than 1.1.0', async () => {
    using node = fakeNode();
    await statusNetwork(node.scope, listOf(chain('1.0.0', 'alpha')), runtimeOf(node));
    expect(node.seen).toEqual([]);
  });
});

describe('gcNetwork', () => {
  it('tells every plugin what is valid, under both names, whatever fails', async () => {
    using node = fakeNode();
    failing(node, 'GC alpha');
    const list = listOf(chain('1.1.0', 'alpha', 'beta'));
    const valid = [{ containerID: 'C1', ifname: 'lan0' }];
    await expect(gcNetwork(node.scope, list, runtimeOf(node), valid)).rejects.toThrow(
      'plugin type="alpha" failed (gc): alpha is broken',
    );
    expect(node.seen[1]?.stdin).toBe(
      '{"cni.dev/attachments":[{"containerID":"C1","ifname":"lan0"}],"cni.dev/valid-attachments":[{"containerID":"C1","ifname":"lan0"}],"cniVersion":"1.1.0","name":"lan","type":"beta"}',
    );
  });

  it('says nothing when nothing was said, and nothing at all with disableGC or before 1.1.0', async () => {
    using node = fakeNode();
    await gcNetwork(node.scope, listOf(chain('1.1.0', 'alpha')), runtimeOf(node), undefined);
    expect(node.seen.map(({ stdin }) => stdin)).toEqual(['{"cniVersion":"1.1.0","name":"lan","type":"alpha"}']);
    await gcNetwork(node.scope, listOf({ ...chain('1.1.0', 'alpha'), disableGC: true }), runtimeOf(node), []);
    await gcNetwork(node.scope, listOf(chain('1.0.0', 'alpha')), runtimeOf(node), []);
    expect(node.seen.length).toBe(1);
  });
});
