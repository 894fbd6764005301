import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Verb } from '../../lib/cni/call.ts';
import { fakeNode } from '../../lib/cni/testing/fake-node.ts';
import { seeded } from '../../lib/sys/testing/seeded.ts';
import { hostLocal } from './plugin.ts';

const SUBNET = { subnet: '10.0.0.0/28' };
const BOTH = { ranges: [[SUBNET], [{ subnet: 'fd00::/64' }]] };

/** A node with a folder, and a way to call the plugin as a runtime does. */
function nodeWithFolder() {
  const node = fakeNode();
  const folder = join(node.cniDir, 'net-a');
  const call = async (verb: Verb, id: string, ipam: object = BOTH, top: object = {}, args = '') => {
    const keys = { type: 'host-local', dataDir: node.cniDir, ...ipam };
    const document = { cniVersion: '1.1.0', name: 'net-a', type: 'macvlan', ipam: keys, ...top };
    const env = verb === 'GC' || verb === 'STATUS' ? {} : { CNI_CONTAINERID: id, CNI_IFNAME: 'net1', CNI_ARGS: args };
    const { stdout, exitCode } = await node.run(hostLocal, verb, document, env);
    return stdout === '' ? { exitCode } : { exitCode, ...JSON.parse(stdout) };
  };
  const add = async (id: string, ipam: object = BOTH, top: object = {}, args = ''): Promise<readonly string[]> => {
    const answer = await call('ADD', id, ipam, top, args);
    expect(answer).toMatchObject({ exitCode: 0 });
    return answer.ips.map((ip: { address: string }) => ip.address.replace(/\/.*/, ''));
  };
  /** as the Go plugin does it, and as people may */
  const write = (name: string, content: string): void => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, name), content);
  };
  const files = (): readonly string[] =>
    readdirSync(folder).filter((name) => /[.:]/.test(name.slice(1)) && !/last/.test(name));
  return { node, folder, call, add, write, files, [Symbol.dispose]: () => node[Symbol.dispose]() };
}

describe('the folder', () => {
  it('is as the Go plugin keeps it', async () => {
    using one = nodeWithFolder();
    expect(await one.add('c1')).toEqual(['10.0.0.2', 'fd00::2']);
    const contents = Object.fromEntries(
      ['10.0.0.2', 'fd00::2', 'last_reserved_ip.0', 'last_reserved_ip.1', 'lock'].map((name) => [
        name,
        readFileSync(join(one.folder, name), 'utf8'),
      ]),
    );
    expect(contents).toEqual({
      '10.0.0.2': 'c1\r\nnet1',
      'fd00::2': 'c1\r\nnet1',
      'last_reserved_ip.0': '10.0.0.2',
      'last_reserved_ip.1': 'fd00::2',
      lock: '',
    });
    expect(statSync(join(one.folder, 'fd00::2')).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['10.0.0.3', ['10.0.0.4']],
    ['', ['10.0.0.2']],
    ['x\n', ['10.0.0.2']],
    ['10.0.0.14', ['10.0.0.2']],
    ['10.9.9.9', ['10.0.0.2']],
  ])('whose last_reserved_ip says "%s" gives %s', async (text, addresses) => {
    using one = nodeWithFolder();
    one.write('last_reserved_ip.0', text);
    expect(await one.add('c1', SUBNET)).toEqual(addresses);
  });

  it('that is missing is no failure of DEL, and DEL does not make it', async () => {
    using one = nodeWithFolder();
    expect(await one.call('DEL', 'c1')).toEqual({ exitCode: 0 });
    expect(existsSync(one.folder)).toBe(false);
  });

  it('with files of very old versions: they are their container’s, until one has an interface', async () => {
    using one = nodeWithFolder();
    one.write('10.0.0.9', 'c1');
    expect(await one.call('ADD', 'c1', SUBNET)).toMatchObject({
      code: 999,
      msg: expect.stringContaining('10.0.0.9 has been'),
    });
    expect(await one.call('CHECK', 'c1', SUBNET)).toEqual({ exitCode: 0 });
    expect(await one.call('DEL', 'c1', SUBNET)).toEqual({ exitCode: 0 });
    expect(one.files()).toEqual([]);
  });

  it('whose files are no addresses, or none of files, is left as it is', async () => {
    using one = nodeWithFolder();
    one.write('notes', 'c1\r\nnet1');
    mkdirSync(join(one.folder, '10.0.0.2'));
    expect(await one.add('c1', SUBNET)).toEqual(['10.0.0.3']);
    await one.call('DEL', 'c1', SUBNET);
    await one.call('GC', '', SUBNET, { 'cni.dev/valid-attachments': [] });
    expect(readdirSync(one.folder)).toEqual(expect.arrayContaining(['notes', '10.0.0.2']));
  });
});

describe('what others do in the folder meanwhile', () => {
  it('is seen: who has got an address, and who has lost one', async () => {
    using one = nodeWithFolder();
    await one.add('c1', SUBNET);
    one.write('10.0.0.3', 'go\r\nnet1');
    expect(await one.call('ADD', 'go', SUBNET)).toMatchObject({
      code: 999,
      msg: expect.stringContaining('10.0.0.3 has been'),
    });
    expect(await one.add('c2', SUBNET)).toEqual(['10.0.0.4']);
    rmSync(join(one.folder, '10.0.0.2'));
    expect(await one.add('c1', SUBNET)).toEqual(['10.0.0.5']);
    rmSync(join(one.folder, '10.0.0.4'));
    one.write('10.0.0.4', 'go2\r\nnet1');
    await one.call('DEL', 'c2', SUBNET);
    expect(one.files()).toEqual(['10.0.0.3', '10.0.0.4', '10.0.0.5']);
  });

  it('gives no address twice and keeps none, even if the folder does not show it', async () => {
    using one = nodeWithFolder();
    await one.add('c1', SUBNET);
    const { atime, mtime } = statSync(one.folder);
    one.write('10.0.0.3', 'go\r\nnet1');
    rmSync(join(one.folder, '10.0.0.2'));
    one.write('10.0.0.2', 'other\r\nnet1');
    utimesSync(one.folder, atime, mtime); // as a copy that is put over the folder
    expect(await one.add('c2', SUBNET)).toEqual(['10.0.0.4']);
    await one.call('DEL', 'c1', SUBNET);
    expect(one.files()).toContain('10.0.0.2');
    await one.call('DEL', 'go', SUBNET);
    expect(one.files()).toEqual(['10.0.0.2', '10.0.0.4']);
  });

  it.each(['', 'x', `owners\n# 9\n= ${Number.MAX_SAFE_INTEGER}\n`, '\0\0\0\n'])(
    'may also be damage of what is remembered: "%s"',
    async (text) => {
      using one = nodeWithFolder();
      await one.add('c1', SUBNET);
      one.write('.owners', text);
      expect(await one.call('ADD', 'c1', SUBNET)).toMatchObject({ code: 999 });
      await one.call('DEL', 'c1', SUBNET);
      expect(one.files()).toEqual([]);
    },
  );
});

describe('files that say nothing', () => {
  it.each(['', ' \n', '\0\0\0\0'])(
    'are passed over as the Go plugin does, and given when nothing else is left: %j',
    async (text) => {
      using one = nodeWithFolder();
      const small = { subnet: '10.0.0.0/28', rangeEnd: '10.0.0.4' };
      one.write('10.0.0.2', text);
      expect(await one.add('c1', small)).toEqual(['10.0.0.3']);
      expect(await one.add('c2', small)).toEqual(['10.0.0.4']);
      expect(await one.add('c3', small)).toEqual(['10.0.0.2']);
      expect(await one.call('ADD', 'c4', small)).toMatchObject({
        code: 999,
        msg: 'failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.0.4',
      });
      expect(readFileSync(join(one.folder, '10.0.0.2'), 'utf8')).toBe('c3\r\nnet1');
    },
  );

  it('are given to whoever asks for them, and removed by DEL and GC', async () => {
    using one = nodeWithFolder();
    one.write('10.0.0.5', '');
    expect(await one.add('c1', SUBNET, {}, 'IP=10.0.0.5')).toEqual(['10.0.0.5']);
    one.write('10.0.0.6', '');
    await one.call('DEL', 'c1', SUBNET);
    expect(one.files()).toEqual([]);
    one.write('10.0.0.6', '');
    await one.call('GC', '', SUBNET, { 'cni.dev/valid-attachments': [] });
    expect(one.files()).toEqual([]);
  });
});

describe('addresses that are asked for', () => {
  const top = { args: { cni: { ips: ['fd00::9/64'] } }, runtimeConfig: { ips: ['10.0.0.9', 'fd00::9'] } };

  it('come from all three places, each once', async () => {
    using one = nodeWithFolder();
    expect(await one.add('c1', BOTH, top)).toEqual(['10.0.0.9', 'fd00::9']);
    expect(await one.add('c2', BOTH, {}, 'IgnoreUnknown=1;K8S_POD_NAME=p;IP=fd00::7')).toEqual([
      '10.0.0.10',
      'fd00::7',
    ]);
  });

  it.each([
    ['10.9.0.1', 'no range has it: they are 10.0.0.1-10.0.0.14 and fd00::1-fd00::ffff:ffff:ffff:ffff'],
    ['10.0.0.1', "it is the subnet's gateway"],
    ['10.0.0.300', 'is not an IP address'],
  ])('are refused before anything is done: %s', async (ip, words) => {
    using one = nodeWithFolder();
    expect(await one.call('ADD', 'c1', BOTH, {}, `IP=${ip}`)).toMatchObject({
      code: 4,
      msg: expect.stringContaining(words),
    });
    const inConf = await one.call('ADD', 'c1', BOTH, { runtimeConfig: { ips: [ip] } });
    expect(inConf).toMatchObject({ code: 7, msg: expect.stringContaining(words) });
    expect(existsSync(one.folder)).toBe(false);
  });

  it('are refused where a set is asked for two', async () => {
    using one = nodeWithFolder();
    const two = { runtimeConfig: { ips: ['10.0.0.8', '10.0.0.9'] } };
    expect(await one.call('ADD', 'c1', BOTH, two)).toMatchObject({ code: 7, msg: expect.stringContaining('10.0.0.8') });
  });

  it('that somebody has fail with their name', async () => {
    using one = nodeWithFolder();
    await one.add('c1', BOTH, top);
    expect(await one.call('ADD', 'c2', BOTH, top)).toMatchObject({
      code: 999,
      msg: expect.stringMatching(
        /^failed to allocate for range 0: requested IP address 10.0.0.9 is not .*container c1 net1 has it$/,
      ),
    });
  });
});

describe('a failed ADD', () => {
  it('takes back what it has given, and nothing that the attachment has from before', async () => {
    using one = nodeWithFolder();
    await one.add('c1', BOTH);
    const asked = { runtimeConfig: { ips: ['10.0.0.9'] } };
    expect(await one.call('ADD', 'c1', BOTH, asked)).toMatchObject({
      code: 999,
      msg: expect.stringContaining('range 1'),
    });
    expect(one.files()).toEqual(['10.0.0.2', 'fd00::2']);
  });
});

describe('CHECK', () => {
  it('wants an address, and those of prevResult that are of the ranges', async () => {
    using one = nodeWithFolder();
    expect(await one.call('CHECK', 'c1')).toMatchObject({ code: 999, msg: expect.stringContaining('container c1') });
    await one.add('c1');
    const previous = (...ips: readonly string[]) => ({
      prevResult: { cniVersion: '1.1.0', ips: ips.map((address) => ({ address })) },
    });
    expect(await one.call('CHECK', 'c1', BOTH, previous('10.0.0.2/28', '192.0.2.1/24'))).toEqual({ exitCode: 0 });
    expect(await one.call('CHECK', 'c1', BOTH, previous('10.0.0.3/28'))).toMatchObject({
      msg: expect.stringContaining('reservation of 10.0.0.3'),
    });
  });
});

describe('STATUS', () => {
  it('says which sets are full, and has code 50 where nothing can be written', async () => {
    using one = nodeWithFolder();
    const single = { subnet: '10.0.0.8/32' };
    expect(await one.call('STATUS', '', single)).toEqual({ exitCode: 0 });
    await one.add('c1', single);
    expect(await one.call('STATUS', '', single)).toEqual({ exitCode: 0 });
    expect(one.node.stderr.join('\n')).toContain('no IP addresses available in range set: 10.0.0.8-10.0.0.8');
    expect(await one.call('STATUS', '', { ...single, dataDir: '/dev/null' })).toMatchObject({ code: 50 });
  });

  it('does without ranges where the runtime gives them', async () => {
    using one = nodeWithFolder();
    expect(await one.call('STATUS', '', {})).toMatchObject({ code: 7, msg: expect.stringContaining('no IP ranges') });
    expect(await one.call('STATUS', '', {}, { capabilities: { ipRanges: true } })).toEqual({ exitCode: 0 });
    const given = { capabilities: { ipRanges: true }, runtimeConfig: { ipRanges: [[{ subnet: '10.3.0.0/24' }]] } };
    expect(await one.add('c1', SUBNET, given)).toEqual(['10.3.0.2', '10.0.0.2']);
  });
});

describe('GC', () => {
  it('collects what is not valid, and nothing without a list', async () => {
    using one = nodeWithFolder();
    await one.add('c1');
    await one.add('c2');
    one.write('10.0.0.9', 'c3');
    one.write('10.0.0.10', 'c4');
    await one.call('GC', '', BOTH);
    expect(one.files()).toHaveLength(6);
    const valid = [
      { containerID: 'c1', ifname: 'net1' },
      { containerID: 'c2', ifname: 'net2' },
      { containerID: 'c3', ifname: 'net1' },
    ];
    expect(await one.call('GC', '', {}, { 'cni.dev/valid-attachments': valid })).toEqual({ exitCode: 0 });
    expect(one.files()).toEqual(['10.0.0.2', '10.0.0.9', 'fd00::2']);
  });
});

describe('many calls of one process', () => {
  it('give each its own addresses with few locks, in order', async () => {
    using one = nodeWithFolder();
    const wide = { ranges: [[{ subnet: '10.0.0.0/24' }]] };
    const given = await Promise.all(Array.from({ length: 60 }, (_, index) => one.add(`c${index}`, wide)));
    expect(given.flat()).toEqual(Array.from({ length: 60 }, (_, index) => `10.0.0.${index + 2}`));
    await Promise.all(Array.from({ length: 60 }, (_, index) => one.call('DEL', `c${index}`, wide)));
    expect(one.files()).toEqual([]);
  });

  it('do at random as a model does, with others who write meanwhile', async () => {
    const random = seeded();
    using one = nodeWithFolder();
    const held = new Map<string, string>();
    const range = { subnet: '10.0.0.0/27', rangeEnd: '10.0.0.12' };
    for (let round = 0; round < 300; round++) {
      const id = `c${random.below(14)}`;
      const isForeign = random.below(4) === 0;
      const had = held.get(id);
      if (random.below(2) === 0) {
        if (isForeign && had !== undefined) {
          rmSync(join(one.folder, had));
        } else {
          await one.call('DEL', id, range);
        }
        held.delete(id);
      } else if (isForeign) {
        const free = [...Array(11).keys()]
          .map((n) => `10.0.0.${n + 2}`)
          .filter((ip) => ![...held.values()].includes(ip));
        if (had === undefined && free[0] !== undefined) {
          one.write(free[0], `${id}\r\nnet1`);
          held.set(id, free[0]);
        }
      } else {
        const answer = await one.call('ADD', id, range);
        const what = `seed ${random.seed}, round ${round}: ${JSON.stringify(answer)}`;
        expect(answer.exitCode, what).toBe(had === undefined && held.size < 11 ? 0 : 1);
        if (answer.exitCode === 0) {
          const ip = answer.ips[0].address.replace('/27', '');
          expect([...held.values()], what).not.toContain(ip);
          held.set(id, ip);
        }
      }
      expect(existsSync(one.folder) ? one.files() : [], `seed ${random.seed}, round ${round}`).toEqual(
        [...held.values()].sort(),
      );
    }
  });
});
