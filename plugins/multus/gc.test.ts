import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CniError } from '../../lib/cni/errors.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import { type FakeNode, fakeNode } from '../../lib/cni/testing/fake-node.ts';
import { NetnsMissing } from '../../lib/netns/netns.ts';
import { lockContainer } from './container-lock.ts';
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

/** Two pods, C1 with eth0 and C2 with ext0. */
async function twoPods(): Promise<FakeNode> {
  const node = fakeNode();
  await node.run(multus, 'ADD', confOf(node), { CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=one' });
  node.links.clear(); // the second pod has a namespace of its own
  await node.run(multus, 'ADD', confOf(node), { CNI_CONTAINERID: 'C2', CNI_IFNAME: 'ext0' });
  node.seen.length = 0;
  return node;
}

/** A pod whose ADD was killed before a result was recorded. */
async function killed(): Promise<FakeNode> {
  const node = fakeNode();
  await node.run(multus, 'ADD', confOf(node), { CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=one', CNI_IFNAME: 'ext0' });
  rmSync(join(node.cniDir, 'results'), { recursive: true });
  node.seen.length = 0;
  return node;
}

const naming = (...valid: readonly (readonly [string, string])[]): JsonObject => ({
  'cni.dev/valid-attachments': valid.map(([containerID, ifname]) => ({ containerID, ifname })),
});

const validIn = (stdin: string): unknown => (JSON.parse(stdin) as JsonObject)['cni.dev/valid-attachments'];

describe('multus GC', () => {
  it('deletes what containers left that the runtime does not name', async () => {
    using node = await twoPods();
    expect((await node.run(multus, 'GC', confOf(node, naming(['C2', 'ext0'])))).exitCode).toBe(0);
    expect(node.log()).toEqual(['DEL beta net1', 'DEL alpha eth0', 'GC alpha', 'GC beta']);
    const [first] = node.seen;
    expect(first?.env).toMatchObject({ CNI_CONTAINERID: 'C1', CNI_NETNS: '/run/netns/n1' });
    expect(first?.env['CNI_ARGS']).toContain('K8S_POD_NAME=one');
    expect(JSON.parse(first?.stdin ?? '')).toHaveProperty('prevResult');
    expect(Object.keys(node.files()).sort()).toEqual(['C2', 'results/a-C2-ext0', 'results/b-C2-net1']);
  });

  it('tells each delegate what is valid in its network, under both names', async () => {
    using node = await twoPods();
    await node.run(multus, 'GC', confOf(node, naming(['C2', 'ext0'], ['C1', 'eth0'])));
    expect(node.log()).toEqual(['GC alpha', 'GC beta']);
    expect(node.seen[0]?.stdin).toBe(
      '{"cni.dev/attachments":[{"containerID":"C2","ifname":"ext0"},{"containerID":"C1","ifname":"eth0"}],"cni.dev/valid-attachments":[{"containerID":"C2","ifname":"ext0"},{"containerID":"C1","ifname":"eth0"}],"cniVersion":"1.1.0","name":"a","type":"alpha"}',
    );
    expect(validIn(node.seen[1]?.stdin ?? '')).toEqual([
      { containerID: 'C2', ifname: 'net1' },
      { containerID: 'C1', ifname: 'net1' },
    ]);
  });

  it('counts every name as valid of a container that is not recorded: it may be added meanwhile', async () => {
    using node = await twoPods();
    await node.run(multus, 'GC', confOf(node, naming(['C1', 'eth0'], ['C2', 'ext0'], ['C3', 'eth0'])));
    const told = validIn(node.seen[0]?.stdin ?? '') as readonly {
      readonly containerID: string;
      readonly ifname: string;
    }[];
    const names = told.filter(({ containerID }) => containerID === 'C3').map(({ ifname }) => ifname);
    expect([names.length, ...names.slice(0, 3), names.at(-1)]).toEqual([64, 'eth0', 'net1', 'net2', 'net63']);
    expect(told.filter(({ containerID }) => containerID !== 'C3')).toHaveLength(2);
  });

  it('counts every name as valid of a container that a DEL forgets meanwhile: it may be added again', async () => {
    using node = await twoPods();
    rmSync(join(node.cniDir, 'C1'));
    rmSync(join(node.cniDir, 'results/b-C1-net1')); // results go first, one after the other
    await node.run(multus, 'GC', confOf(node, naming(['C1', 'eth0'], ['C2', 'ext0'])));
    for (const { stdin } of node.seen) {
      expect(validIn(stdin)).toContainEqual({ containerID: 'C1', ifname: 'net1' });
    }
    expect(node.log()).toEqual(['GC alpha', 'GC beta']);
  });

  it('counts an attachment as valid that only the scratch file or only the cache remembers', async () => {
    using node = fakeNode();
    await node.run(
      multus,
      'ADD',
      confOf(node, { delegates: [lan('z', 'gamma'), lan('a', 'alpha'), lan('b', 'beta')] }),
    );
    rmSync(join(node.cniDir, 'results/a-C1-net1'));
    node.seen.length = 0;
    const delegates = [lan('a', 'alpha')];
    await node.run(multus, 'GC', confOf(node, { delegates, ...naming(['C1', 'eth0']) }));
    expect(validIn(node.seen[0]?.stdin ?? '')).toEqual([
      { containerID: 'C1', ifname: 'eth0' },
      { containerID: 'C1', ifname: 'net1' },
    ]);
  });

  it('tells networks, too, that living pods have and the configuration does not name, each once', async () => {
    using node = fakeNode();
    const delegates = (...more: readonly JsonObject[]) => ({ delegates: [lan('a', 'alpha'), ...more] });
    const device = (deviceID: string) => ({ ...lan('z', 'gamma'), deviceID, pciBusID: deviceID });
    await node.run(multus, 'ADD', confOf(node, delegates(device('0000:01:00.1'))));
    node.links.clear();
    const more = { CNI_CONTAINERID: 'C2' };
    await node.run(multus, 'ADD', confOf(node, delegates(device('0000:01:00.2'), lan('z', 'beta'))), more);
    node.links.clear();
    await node.run(multus, 'ADD', confOf(node, delegates(lan('y', 'beta'))), { CNI_CONTAINERID: 'C3' });
    node.seen.length = 0;
    await node.run(multus, 'GC', confOf(node, { ...delegates(), ...naming(['C1', 'eth0'], ['C2', 'eth0']) }));
    expect(node.log()).toEqual(['DEL beta net1', 'DEL alpha eth0', 'GC alpha', 'GC gamma', 'GC beta']);
    const ofZ = ['C1 net1', 'C2 net1', 'C2 net2'].map((one) => one.split(' '));
    const wanted = ofZ.map(([containerID, ifname]) => ({ containerID, ifname }));
    expect(node.seen.slice(-2).map(({ stdin }) => validIn(stdin))).toEqual([wanted, wanted]);
  });

  it('collects everything when the runtime names an empty list', async () => {
    using node = await twoPods();
    await node.run(multus, 'GC', confOf(node, naming()));
    expect(node.files()).toEqual({});
    expect(validIn(node.seen.at(-1)?.stdin ?? '')).toEqual([]);
  });

  it('collects nothing, and names nothing, when the runtime names none', async () => {
    using node = await twoPods();
    const before = node.files();
    await node.run(multus, 'GC', confOf(node));
    expect(node.log()).toEqual(['GC alpha', 'GC beta']);
    expect(node.seen[0]?.stdin).toBe('{"cniVersion":"1.1.0","name":"a","type":"alpha"}');
    expect(node.files()).toEqual(before);
  });

  it('collects from a scratch file without cache, and from the cache without scratch file', async () => {
    using node = await twoPods();
    rmSync(join(node.cniDir, 'results/a-C1-eth0'));
    rmSync(join(node.cniDir, 'C2'));
    await node.run(multus, 'GC', confOf(node, naming()));
    expect(
      node
        .log()
        .filter((line) => line.startsWith('DEL'))
        .sort(),
    ).toEqual(['DEL alpha eth0', 'DEL alpha ext0', 'DEL beta net1', 'DEL beta net1']);
    expect(node.files()).toEqual({});
  });

  it.each([
    { what: 'lives', gives: '/run/netns/n1' },
    { what: 'is gone', failToOpen: () => new NetnsMissing('/run/netns/n1'), gives: '' },
    { what: 'is another by now', cookie: 2, gives: '' },
  ])('deletes what a killed ADD has left with what it was called with: its pod $what', async (pod) => {
    using node = await killed();
    const { gives, cookie = 1, failToOpen = () => undefined } = pod;
    Object.assign(node, { cookie, failToOpen });
    expect((await node.run(multus, 'GC', confOf(node, naming()))).exitCode).toBe(0);
    expect(node.log().slice(0, 2)).toEqual(['DEL beta net1', 'DEL alpha ext0']);
    for (const { env } of node.seen.slice(0, 2)) {
      expect(env).toMatchObject({ CNI_CONTAINERID: 'C1', CNI_NETNS: gives });
      expect(env['CNI_ARGS']).toContain('K8S_POD_NAME=one');
    }
    expect(node.files()).toEqual({});
  });

  it('touches nothing and forgets nothing of a pod while it cannot be told whether it lives', async () => {
    using node = await killed();
    const before = node.files();
    node.failToOpen = () => new CniError('invalidNetns', 'cannot open network namespace: EIO');
    const { stdout } = await node.run(multus, 'GC', confOf(node, naming()));
    expect(JSON.parse(stdout)).toMatchObject({ code: 8, msg: expect.stringContaining('stale container C1') });
    expect(node.log()).toEqual(['GC alpha', 'GC beta']);
    expect(node.files()).toEqual(before);
  });

  it('removes what killed calls have left of files, and leaves those of calls that are on their way', async () => {
    using node = await twoPods();
    for (const name of ['.C3.tmp', '.C3.lock', '.C4.tmp', '.C5.lock']) {
      writeFileSync(join(node.cniDir, name), '');
    }
    {
      using _busy = await lockContainer(node.scope, node.cniDir, 'C4');
      await node.run(multus, 'GC', confOf(node, naming(['C1', 'eth0'], ['C2', 'ext0'])));
      expect(Object.keys(node.files()).filter((name) => name.startsWith('.'))).toContain('.C4.tmp');
      expect(Object.keys(node.files()).filter((name) => /C[35]/.test(name))).toEqual([]);
    }
    await node.run(multus, 'GC', confOf(node, naming(['C1', 'eth0'], ['C2', 'ext0'])));
    expect(Object.keys(node.files()).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('leaves files alone that are no scratch files', async () => {
    using node = fakeNode();
    mkdirSync(join(node.cniDir, 'folder'), { recursive: true });
    writeFileSync(join(node.cniDir, 'notes'), 'mine');
    writeFileSync(join(node.cniDir, '.C1.7-7'), '[');
    await node.run(multus, 'GC', confOf(node, naming()));
    expect(Object.keys(node.files()).sort()).toEqual(['.C1.7-7', 'notes']);
  });

  it('removes a corrupt scratch file once the cache has told what to delete', async () => {
    using node = await twoPods();
    writeFileSync(join(node.cniDir, 'C1'), '[');
    await node.run(multus, 'GC', confOf(node, naming(['C2', 'ext0'])));
    expect(node.log()).toEqual(['DEL beta net1', 'DEL alpha eth0', 'GC alpha', 'GC beta']);
    expect(node.files()['C1']).toBeUndefined();
  });

  it('removes results of dead containers that tell nothing, and deletes what their names tell', async () => {
    using node = await twoPods();
    rmSync(join(node.cniDir, 'C1'));
    writeFileSync(join(node.cniDir, 'results/a-C1-eth0'), '');
    writeFileSync(join(node.cniDir, 'results/old-C1-net7'), '{"kind');
    writeFileSync(join(node.cniDir, 'results/old-C2-net7'), '');
    writeFileSync(join(node.cniDir, 'results/old-C3-net7'), '{"kind":"another"}');
    expect((await node.run(multus, 'GC', confOf(node, naming(['C2', 'ext0'])))).exitCode).toBe(0);
    expect(node.log()).toEqual(['DEL beta net1', 'DEL alpha eth0', 'GC alpha', 'GC beta']);
    expect(node.seen[1]?.env).toMatchObject({ CNI_CONTAINERID: 'C1', CNI_NETNS: '' });
    expect(Object.keys(node.files()).sort()).toEqual([
      'C2',
      'results/a-C2-ext0',
      'results/b-C2-net1',
      'results/old-C2-net7',
      'results/old-C3-net7',
    ]);
  });

  it('keeps a result that tells nothing while what its name tells cannot be deleted', async () => {
    using node = await twoPods();
    rmSync(join(node.cniDir, 'C1'));
    writeFileSync(join(node.cniDir, 'results/a-C1-eth0'), '');
    node.fail = (verb, type) => (`${verb} ${type}` === 'DEL alpha' ? new CniError(42, 'stuck') : undefined);
    const { stdout } = await node.run(multus, 'GC', confOf(node, naming(['C2', 'ext0'])));
    expect(JSON.parse(stdout)).toMatchObject({ code: 42, msg: expect.stringContaining('results/a-C1-eth0') });
    expect(node.files()['results/a-C1-eth0']).toBe('');
  });

  it('counts an attachment as valid that only the name of a damaged result remembers', async () => {
    using node = await twoPods();
    rmSync(join(node.cniDir, 'C2'));
    rmSync(join(node.cniDir, 'results/b-C2-net1'));
    writeFileSync(join(node.cniDir, 'results/b-C2-net5'), '');
    await node.run(multus, 'GC', confOf(node, naming(['C2', 'ext0'])));
    expect(validIn(node.seen.at(-1)?.stdin ?? '')).toContainEqual({ containerID: 'C2', ifname: 'net5' });
  });

  it.each(['results', ''])('does nothing while "%s" of its folder cannot be read', async (name) => {
    using node = await twoPods();
    const folder = join(node.cniDir, name);
    renameSync(folder, `${node.binDir}/away`);
    symlinkSync('/proc/self/mem', folder);
    const { stdout } = await node.run(multus, 'GC', confOf(node, naming()));
    expect(JSON.parse(stdout)).toMatchObject({ code: 5, msg: expect.stringContaining(`"${node.cniDir}`) });
    expect(node.seen).toEqual([]);
  });

  it('goes on after failures, reports all, and keeps what could not be deleted for the next time', async () => {
    using node = await twoPods();
    node.fail = (verb, type, ifName) =>
      `${verb} ${type} ${ifName}` === 'DEL alpha eth0' || `${verb} ${type}` === 'GC alpha'
        ? new CniError(42, 'stuck')
        : undefined;
    const { stdout } = await node.run(multus, 'GC', confOf(node, naming()));
    expect(JSON.parse(stdout)).toEqual({
      code: 42,
      msg: 'errors: failed to delete stale container C1: error deleting container from network "a": plugin type="alpha" name="a" failed (delete): stuck / error collecting in network "a": plugin type="alpha" name="a" failed (gc): stuck',
    });
    expect(Object.keys(node.files()).sort()).toEqual(['C1', 'results/a-C1-eth0']);
    expect(node.log()).toContain('GC beta');
  });

  it('collects even where delegates cannot be asked', async () => {
    using node = await twoPods();
    const { stdout } = await node.run(multus, 'GC', confOf(node, { clusterNetwork: '/absent', ...naming() }));
    expect(JSON.parse(stdout).code).toBe(5);
    expect(node.files()).toEqual({});
  });

  it('does not forward to a network older than GC or with disableGC', async () => {
    using node = fakeNode();
    const old = lan('a', 'alpha', '1.0.0');
    const closed = { cniVersion: '1.1.0', name: 'b', disableGC: true, plugins: [{ type: 'beta' }] };
    await node.run(multus, 'GC', confOf(node, { delegates: [old, closed], ...naming() }));
    expect(node.seen).toEqual([]);
  });
});
