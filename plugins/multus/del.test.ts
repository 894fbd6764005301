import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CniError } from '../../lib/cni/errors.ts';
import { compact, type JsonObject } from '../../lib/cni/json.ts';
import { type FakeNode, fakeNode } from '../../lib/cni/testing/fake-node.ts';
import { NetnsMissing } from '../../lib/netns/netns.ts';
import { multus } from './plugin.ts';

const lan = (name: string, type: string): JsonObject => ({ cniVersion: '1.0.0', name, type });

const confOf = (node: FakeNode, more: JsonObject = {}): JsonObject => ({
  cniVersion: '1.0.0',
  name: 'multus',
  type: 'multus',
  cniDir: node.cniDir,
  binDir: node.binDir,
  delegates: [lan('a', 'alpha'), lan('b', 'beta'), lan('c', 'gamma')],
  ...more,
});

async function attached(more: JsonObject = {}, env: Record<string, string> = {}): Promise<FakeNode> {
  const node = fakeNode();
  expect((await node.run(multus, 'ADD', confOf(node, more), env)).exitCode).toBe(0);
  node.seen.length = 0;
  return node;
}

const failDel = (node: FakeNode, ...types: string[]): void => {
  node.fail = (verb, type) => (verb === 'DEL' && types.includes(type) ? new CniError(42, `${type} stuck`) : undefined);
};

const errorOf = ({ stdout }: { stdout: string }) => JSON.parse(stdout) as { code: number; msg: string };

/** As the Go plugin writes it. */
const withoutPod = (scratch: string): string => scratch.replace(/,"braid":\{.*?\}[^}]*\}/, '');

const msgOf = ({ stdout }: { stdout: string }): string => (JSON.parse(stdout) as { msg: string }).msg;

describe('multus DEL', () => {
  it('deletes the networks of the scratch file, last to first, and forgets them', async () => {
    using node = await attached();
    const edited = confOf(node, { delegates: [null], kubeconfig: '/nowhere' });
    expect(await node.run(multus, 'DEL', edited)).toEqual({ stdout: '', stderr: '', exitCode: 0 });
    expect(node.log()).toEqual(['DEL gamma net2', 'DEL beta net1', 'DEL alpha eth0']);
    expect([...node.links]).toEqual([]);
    expect(node.files()).toEqual({});
  });

  it('is a success when repeated, and when nothing was ever added', async () => {
    using node = await attached();
    await node.run(multus, 'DEL', confOf(node));
    node.seen.length = 0;
    expect((await node.run(multus, 'DEL', confOf(node))).exitCode).toBe(0);
    expect(node.seen).toEqual([]);
  });

  const nowhere = new NetnsMissing('/run/netns/n1');

  it.each([
    { what: 'nobody says where the namespace is, and it lives', told: '', gives: '/run/netns/n1' },
    { what: 'the namespace is gone', failToOpen: () => nowhere, gives: '' },
    { what: 'the path leads to another namespace', cookie: 2, gives: '' },
    { what: 'the namespace is gone with an earlier boot', boot: 'an earlier one', gives: '' },
  ])('tells its delegates where the pod is: $what', async ({ told, gives, failToOpen, cookie = 1, boot }) => {
    using node = await attached();
    Object.assign(node, { cookie, ...(failToOpen && { failToOpen }) });
    const scratch = join(node.cniDir, 'C1');
    writeFileSync(scratch, readFileSync(scratch, 'utf8').replace('this boot', boot ?? 'this boot'));
    const env = told === undefined ? {} : { CNI_NETNS: told };
    expect((await node.run(multus, 'DEL', confOf(node), env)).exitCode).toBe(0);
    expect(node.seen.map(({ env }) => env['CNI_NETNS'])).toEqual([gives, gives, gives]);
    expect(node.files()).toEqual({});
  });

  it('touches nothing and forgets nothing while it cannot be told whether the pod lives', async () => {
    using node = await attached();
    const before = node.files();
    node.failToOpen = () => new CniError('invalidNetns', 'cannot open network namespace: EIO');
    expect(errorOf(await node.run(multus, 'DEL', confOf(node)))).toMatchObject({ code: 8 });
    expect(node.seen).toEqual([]);
    expect(node.files()).toEqual(before);
  });

  it.each(['', '/run/netns/n1'])('takes the word of its caller for a pod of the Go plugin: "%s"', async (told) => {
    using node = await attached();
    writeFileSync(join(node.cniDir, 'C1'), withoutPod(node.files()['C1'] ?? ''));
    rmSync(join(node.cniDir, 'results'), { recursive: true });
    expect((await node.run(multus, 'DEL', confOf(node), { CNI_NETNS: told })).exitCode).toBe(0);
    expect(node.seen.map(({ env }) => env['CNI_NETNS'])).toEqual([told, told, told]);
  });

  it('hands on the result and the capabilities of today', async () => {
    using node = await attached({ delegates: [{ ...lan('a', 'alpha'), capabilities: { mac: true } }] });
    await node.run(multus, 'DEL', confOf(node, { runtimeConfig: { mac: '02:00:00:00:00:01' } }));
    expect(node.seen[0]?.stdin).toBe(
      '{"capabilities":{"mac":true},"cniVersion":"1.0.0","name":"a","prevResult":{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"/run/netns/n1"}]},"runtimeConfig":{"mac":"02:00:00:00:00:01"},"type":"alpha"}',
    );
  });

  it('gives a list without a version its own', async () => {
    using node = fakeNode();
    mkdirSync(node.cniDir);
    const bytes = Buffer.from('{"name":"a","plugins":[{"type":"alpha"}]}').toString('base64');
    writeFileSync(join(node.cniDir, 'C1'), JSON.stringify([{ Name: 'a', Bytes: bytes }]));
    await node.run(multus, 'DEL', confOf(node, { cniVersion: '0.3.1' }));
    expect(node.seen.at(-1)?.stdin).toBe('{"cniVersion":"0.3.1","name":"a","type":"alpha"}');
  });

  it('goes on after failures, reports all of them in order, and keeps the code of the first', async () => {
    using node = await attached();
    failDel(node, 'gamma', 'alpha');
    const outcome = await node.run(multus, 'DEL', confOf(node));
    expect(JSON.parse(outcome.stdout)).toEqual({
      code: 42,
      msg: 'errors: error deleting container from network "c": plugin type="gamma" name="c" failed (delete): gamma stuck / error deleting container from network "a": plugin type="alpha" name="a" failed (delete): alpha stuck',
    });
    expect(node.log()).toEqual(['DEL gamma net2', 'DEL beta net1', 'DEL alpha eth0']);
    expect(Object.keys(node.files()).sort()).toEqual(['results/a-C1-eth0', 'results/c-C1-net2']);
  });

  it('tries again what failed, from the result cache', async () => {
    using node = await attached();
    failDel(node, 'beta');
    await node.run(multus, 'DEL', confOf(node));
    node.fail = () => undefined;
    node.seen.length = 0;
    expect((await node.run(multus, 'DEL', confOf(node))).exitCode).toBe(0);
    expect(node.log()).toEqual(['DEL beta net1']);
    expect(node.files()).toEqual({});
  });

  it('reports a network whose plugin is gone, and deletes the others', async () => {
    using node = await attached();
    rmSync(join(node.binDir, 'beta'));
    expect(msgOf(await node.run(multus, 'DEL', confOf(node)))).toContain(
      'errors: error deleting container from network "b": plugin type="beta" name="b" failed (delete): failed to find plugin "beta" in path',
    );
    expect([...node.links]).toEqual(['net1']);
  });

  it('reads a delegate that is as deep as ADD takes it', async () => {
    const deep = (levels: number): JsonObject => JSON.parse(`${'{"a":'.repeat(levels)}{}${'}'.repeat(levels)}`);
    const confWith = (levels: number) =>
      compact(confOf(node, { delegates: [{ ...lan('a', 'alpha'), deep: deep(levels) }] }));
    using node = fakeNode();
    expect((await node.run(multus, 'ADD', confWith(9996))).exitCode).toBe(0);
    expect((await node.run(multus, 'DEL', confOf(node, { delegates: [] }))).exitCode).toBe(0);
    expect(node.log()).toEqual(['ADD alpha eth0', 'DEL alpha eth0']);
    expect(node.seen[1]?.stdin).toContain('{"a":{"a":');
    expect(node.files()).toEqual({});
    expect(JSON.parse((await node.run(multus, 'ADD', confWith(9997))).stdout)).toMatchObject({
      code: 6,
      msg: expect.stringContaining('nested deeper than 10000 levels'),
    });
    expect(node.seen.length).toBe(2);
    expect(node.files()).toEqual({});
  });

  it('does not call itself, whatever an old scratch file says', async () => {
    using node = fakeNode(['alpha', 'multus']);
    mkdirSync(node.cniDir);
    const bytes = Buffer.from('{"name":"m","type":"multus"}').toString('base64');
    writeFileSync(join(node.cniDir, 'C1'), JSON.stringify([{ Name: 'm', Bytes: bytes }]));
    expect((await node.run(multus, 'DEL', confOf(node))).exitCode).toBe(0);
    expect(node.seen).toEqual([]);
    expect(node.files()).toEqual({});
  });

  it('goes on with CNI_ARGS and a runtimeConfig that cannot be read', async () => {
    using node = await attached();
    const conf = confOf(node, { runtimeConfig: { mac: 5 }, readinessindicatorfile: '/nowhere' });
    expect((await node.run(multus, 'DEL', conf, { CNI_ARGS: 'A=b=c;X=y' })).exitCode).toBe(0);
    expect(node.seen[0]?.env['CNI_ARGS']).toMatch(/^IgnoreUnknown=true;.*;A=b=c;X=y$/);
    expect(node.slept).toEqual([]);
  });
});

describe('multus DEL with retryDeleteOnError', () => {
  const retry = { retryDeleteOnError: true };

  it('keeps the scratch file when a network failed, and tries every one again', async () => {
    using node = await attached();
    failDel(node, 'beta');
    await node.run(multus, 'DEL', confOf(node, retry));
    expect(Object.keys(node.files()).sort()).toEqual(['C1', 'results/b-C1-net1']);
    node.fail = () => undefined;
    node.seen.length = 0;
    await node.run(multus, 'DEL', confOf(node, retry));
    expect(node.log()).toEqual(['DEL gamma net2', 'DEL beta net1', 'DEL alpha eth0']);
    expect(node.files()).toEqual({});
  });

  it('removes it when the reason will not go away', async () => {
    using node = await attached();
    node.fail = (verb) => (verb === 'DEL' ? new CniError('internal', 'x: no such file or directory') : undefined);
    expect((await node.run(multus, 'DEL', confOf(node, retry))).exitCode).toBe(1);
    expect(node.files()['C1']).toBeUndefined();
  });
});

describe('multus DEL without a usable scratch file', () => {
  it('deletes what the result cache lists for the container, last added first, with what it was added with', async () => {
    using node = await attached({}, { CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=web' });
    rmSync(join(node.cniDir, 'C1'));
    await node.run(multus, 'DEL', confOf(node, { delegates: [] }), { CNI_NETNS: '' });
    expect(node.log()).toEqual(['DEL gamma net2', 'DEL beta net1', 'DEL alpha eth0']);
    expect(node.seen.map(({ env }) => env['CNI_NETNS'])).toEqual(['/run/netns/n1', '/run/netns/n1', '/run/netns/n1']);
    expect(node.seen[0]?.env['CNI_ARGS']).toContain('K8S_POD_NAME=web');
    expect(node.files()).toEqual({});
  });

  it('leaves other containers alone, whose names may look the same', async () => {
    using node = await attached();
    await node.run(multus, 'ADD', confOf(node, { delegates: [lan('x-C1', 'alpha')] }), {
      CNI_CONTAINERID: 'C2',
      CNI_IFNAME: 'net9',
    });
    writeFileSync(join(node.cniDir, 'C1'), '');
    node.seen.length = 0;
    await node.run(multus, 'DEL', confOf(node));
    expect(node.log()).toEqual(['DEL gamma net2', 'DEL beta net1', 'DEL alpha eth0']);
    expect(Object.keys(node.files()).sort()).toEqual(['C2', 'results/x-C1-C2-net9']);
  });

  it('adds the configured networks to the cached ones when the file is corrupt, and removes it', async () => {
    using node = await attached();
    writeFileSync(join(node.cniDir, 'C1'), '[{');
    rmSync(join(node.cniDir, 'results/c-C1-net2'));
    const conf = confOf(node, { logLevel: 'error' });
    expect((await node.run(multus, 'DEL', conf)).exitCode).toBe(0);
    expect(node.log()).toEqual(['DEL gamma net2', 'DEL beta net1', 'DEL alpha eth0']);
    expect(node.stderr[0]).toMatch(/\[error\] cannot read the scratch file ".*\/C1": .*: using the result cache and/);
    expect(node.files()).toEqual({});
  });

  it('does not pass a path through /proc on, which may be another container by now', async () => {
    using node = await attached();
    rmSync(join(node.cniDir, 'C1'));
    const file = join(node.cniDir, 'results/a-C1-eth0');
    writeFileSync(file, (node.files()['results/a-C1-eth0'] ?? '').replace('/run/netns/n1', '/proc/7/ns/net'));
    await node.run(multus, 'DEL', confOf(node), { CNI_NETNS: '' });
    expect(node.seen.find(({ type }) => type === 'alpha')?.env['CNI_NETNS']).toBe('');
  });

  it('deletes the configured networks that records are named after which cannot be used', async () => {
    using node = await attached();
    rmSync(join(node.cniDir, 'C1'));
    writeFileSync(join(node.cniDir, 'results/a-C1-eth0'), '{"cniVersion":"1.0.0"}');
    writeFileSync(
      join(node.cniDir, 'results/b-C1-net1'),
      '{"kind":"cniCacheV1","containerId":"C1","config":"e30=","ifName":"net1","networkName":"b"}',
    );
    expect((await node.run(multus, 'DEL', confOf(node, { logLevel: 'error' }))).exitCode).toBe(0);
    expect(node.log()).toEqual(['DEL beta net1', 'DEL alpha eth0', 'DEL gamma net2']);
    expect(node.stderr.join('\n')).toMatch(/a-C1-eth0.*\n.*cannot use cached result ".*\/b-C1-net1"/);
    expect(node.files()).toEqual({});
  });
});

describe('multus DEL of several networks', () => {
  /** How many DELs were under way at the same time at most, by a plugin that takes its time. */
  async function overlap(types: readonly string[]): Promise<{ most: number; order: readonly string[] }> {
    using node = await attached({ delegates: types.map((type, index) => lan(`n${index}`, type)) });
    let [now, most] = [0, 0];
    const links = { delete: node.links.delete.bind(node.links) };
    node.fail = () => {
      now += 1;
      most = Math.max(most, now);
      return undefined;
    };
    node.links.delete = (name) => {
      now -= 1;
      return links.delete(name);
    };
    expect((await node.run(multus, 'DEL', confOf(node))).exitCode).toBe(0);
    expect([...node.links]).toEqual([]);
    return { most, order: node.log() };
  }

  it('starts those together that run in this process', async () => {
    expect(await overlap(['alpha', 'beta', 'gamma', 'alpha'])).toEqual({
      most: 4,
      order: ['DEL alpha net3', 'DEL gamma net2', 'DEL beta net1', 'DEL alpha eth0'],
    });
  });

  it('runs those one by one that are executed', async () => {
    expect(await overlap(['foreign', 'foreign', 'foreign'])).toEqual({
      most: 1,
      order: ['DEL foreign net2', 'DEL foreign net1', 'DEL foreign eth0'],
    });
  });

  it('keeps the order between both kinds', async () => {
    const { most, order } = await overlap(['alpha', 'beta', 'foreign', 'gamma', 'alpha']);
    expect(most).toBe(2);
    expect(order).toEqual(['DEL alpha net4', 'DEL gamma net3', 'DEL foreign net2', 'DEL beta net1', 'DEL alpha eth0']);
  });

  it('executes all when told to', async () => {
    using node = await attached({ delegates: [lan('a', 'alpha'), lan('b', 'alpha')] });
    await node.run(multus, 'DEL', confOf(node), { BRAID_EXEC_DELEGATES: '1' });
    expect(node.log()).toEqual(['DEL alpha net1', 'DEL alpha eth0']);
  });
});

describe('multus DEL that cannot tell what to delete', () => {
  const unusable: JsonObject = { delegates: [null] };
  const failure = (outcome: { readonly stdout: string }): unknown => JSON.parse(outcome.stdout || '{}');
  const damage = (node: FakeNode, name: string, content: string): void =>
    writeFileSync(join(node.cniDir, name), content);
  /** What reads as EIO, and cannot be mistaken for a missing file. */
  const breakDisk = (node: FakeNode, name: string): void => {
    rmSync(join(node.cniDir, name), { force: true, recursive: true });
    symlinkSync('/proc/self/mem', join(node.cniDir, name));
  };

  it.each(['', '[{', '{}'])('fails, names file and remedy, and leaves the files: scratch file %j', async (content) => {
    using node = await attached();
    damage(node, 'C1', content);
    for (const name of ['a-C1-eth0', 'b-C1-net1', 'c-C1-net2']) {
      damage(node, `results/${name}`, '');
    }
    const before = node.files();
    const outcome = await node.run(multus, 'DEL', confOf(node, unusable));
    expect(failure(outcome)).toMatchObject({
      code: 5,
      msg: expect.stringMatching(
        /^errors: cannot tell what to delete: .*remove ".*\/results\/a-C1-eth0" \/ .*remove ".*\/C1"$/,
      ),
    });
    expect(node.seen).toEqual([]);
    expect(node.files()).toEqual(before);
    expect((await node.run(multus, 'DEL', confOf(node))).exitCode).toBe(0);
    expect([...node.links, ...Object.keys(node.files())]).toEqual([]);
  });

  it('fails for a scratch file alone, of which no result and no configuration tells', async () => {
    using node = await attached();
    damage(node, 'C1', '[');
    rmSync(join(node.cniDir, 'results'), { recursive: true });
    const outcome = await node.run(multus, 'DEL', confOf(node, unusable));
    expect(failure(outcome)).toMatchObject({
      code: 5,
      msg: expect.stringContaining('repair the configuration, or detach'),
    });
    expect(Object.keys(node.files())).toEqual(['C1']);
    rmSync(join(node.cniDir, 'C1')); // as the message says
    expect((await node.run(multus, 'DEL', confOf(node, unusable))).exitCode).toBe(0);
  });

  it('is content with the results when these are whole', async () => {
    using node = await attached();
    damage(node, 'C1', '[');
    expect((await node.run(multus, 'DEL', confOf(node, unusable))).exitCode).toBe(0);
    expect([...node.links, ...Object.keys(node.files())]).toEqual([]);
  });

  it('does what it can, and fails for a result whose network nobody knows', async () => {
    using node = await attached();
    rmSync(join(node.cniDir, 'C1'));
    damage(node, 'results/b-C1-net1', '{"kind"');
    const outcome = await node.run(multus, 'DEL', confOf(node, { delegates: [lan('a', 'alpha')] }));
    expect(failure(outcome)).toMatchObject({
      code: 5,
      msg: expect.stringContaining('no configured network is called so'),
    });
    expect(node.log()).toEqual(['DEL gamma net2', 'DEL alpha eth0']);
    expect(Object.keys(node.files())).toEqual(['results/b-C1-net1']);
  });

  it('removes a damaged result with the network that the scratch file has', async () => {
    using node = await attached();
    damage(node, 'results/b-C1-net1', '');
    expect((await node.run(multus, 'DEL', confOf(node, unusable))).exitCode).toBe(0);
    expect(node.files()).toEqual({});
  });

  it('takes a scratch file that cannot be read for a damaged one', async () => {
    using node = await attached();
    breakDisk(node, 'C1');
    rmSync(join(node.cniDir, 'results/b-C1-net1'));
    expect((await node.run(multus, 'DEL', confOf(node))).exitCode).toBe(0);
    expect(node.log()).toEqual(['DEL beta net1', 'DEL gamma net2', 'DEL alpha eth0']);
    expect(existsSync(join(node.cniDir, 'C1'))).toBe(false);
  });

  it('takes a result that cannot be read for one that is there', async () => {
    using node = await attached();
    rmSync(join(node.cniDir, 'C1'));
    breakDisk(node, 'results/b-C1-net1');
    const outcome = await node.run(multus, 'DEL', confOf(node, unusable));
    expect(failure(outcome)).toMatchObject({ code: 5, msg: expect.stringContaining('EIO') });
    expect([...node.links]).toEqual(['net1']);
    expect((await node.run(multus, 'DEL', confOf(node))).exitCode).toBe(0);
    expect([...node.links]).toEqual([]);
    expect(readdirSync(join(node.cniDir, 'results'))).toEqual([]);
  });

  it('takes results that cannot be listed for some', async () => {
    using node = await attached();
    breakDisk(node, 'results');
    expect((await node.run(multus, 'DEL', confOf(node, unusable))).exitCode).toBe(0); // the scratch file has all
    expect([...node.links]).toEqual([]);
    const outcome = await node.run(multus, 'DEL', confOf(node));
    expect(failure(outcome)).toMatchObject({ code: 5, msg: expect.stringContaining(`"${node.cniDir}/results"`) });
  });

  it('keeps the scratch file when it alone knows a network whose DEL failed', async () => {
    using node = await attached();
    rmSync(join(node.cniDir, 'results/b-C1-net1'));
    failDel(node, 'beta');
    for (const _time of [1, 2]) {
      expect((await node.run(multus, 'DEL', confOf(node))).exitCode).toBe(1);
      expect(Object.keys(node.files())).toEqual(['C1']);
    }
    node.fail = () => undefined;
    expect((await node.run(multus, 'DEL', confOf(node))).exitCode).toBe(0);
    expect([...node.links, ...Object.keys(node.files())]).toEqual([]);
  });

  it.each(['results', 'c'.repeat(251), 'c'.repeat(255), 'c'.repeat(300)])(
    'succeeds for a container that cannot have anything: %s',
    async (CNI_CONTAINERID) => {
      using node = await attached();
      const before = node.files();
      expect((await node.run(multus, 'DEL', confOf(node), { CNI_CONTAINERID })).exitCode).toBe(0);
      expect(node.seen).toEqual([]);
      expect(node.files()).toEqual(before);
    },
  );

  it.each([251, 255])('deletes what the Go multus began for a container ID of %i characters', async (length) => {
    using node = await attached();
    const CNI_CONTAINERID = 'c'.repeat(length);
    renameSync(join(node.cniDir, 'C1'), join(node.cniDir, CNI_CONTAINERID));
    expect((await node.run(multus, 'DEL', confOf(node, unusable), { CNI_CONTAINERID })).exitCode).toBe(0);
    expect(node.log()).toEqual(['DEL gamma net2', 'DEL beta net1', 'DEL alpha eth0']);
    expect(readdirSync(node.cniDir)).toEqual(['results']);
  });
});
