/** sbr in pods that have several networks, that go in a disorderly way, and whose calls are killed. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Lab, PARENT, type Pod } from '../../lab/lab.ts';
import { errorOf, parsed } from '../../lab/printed.ts';
import { GO, OURS, SCRIPT, type Side } from '../../lab/programs.ts';
import { addressTexts, linkOf, rulesOf, stateOf } from '../../lab/state.ts';
import { killAfterEach, killedAfter } from '../../lab/steps.ts';
import { type Given, interfaceOf, RoutedPod } from './lab.ts';

const FOUR: readonly Given[] = [['10.1.2.3/24', '10.1.2.1']];
const BOTH: readonly Given[] = [...FOUR, ['fd00:1::3/64', 'fd00:1::1']];
const OK = { exitCode: 0, stdout: '' };

/** A pod with net1, and its address in a table. */
async function routed(addresses = FOUR): Promise<RoutedPod> {
  const one = await RoutedPod.open();
  await one.ip(...interfaceOf('net1', addresses));
  expect(await one.call('ADD', 'net1', addresses)).toMatchObject({ exitCode: 0 });
  return one;
}

describe.concurrent('sbr', () => {
  it('marks its rules', { tags: 'sbr/mark' }, async () => {
    await using one = await routed(BOTH);
    const rules = (await rulesOf(one.pod.name)).filter(({ src }) => src !== 'all');
    expect(rules.map(({ src, protocol }) => [src, protocol])).toEqual([
      ['10.1.2.3', '98'],
      ['fd00:1::3', '98'],
    ]);
  });

  it('keeps neighbours on the link reachable by their link-local addresses', { tags: 'sbr/link-local' }, async () => {
    const mainRoutes = async (side: Side) => {
      await using one = await RoutedPod.open();
      await one.ip(...interfaceOf('net1', BOTH));
      expect(await one.call('ADD', 'net1', BOTH, { side })).toMatchObject({ exitCode: 0 });
      return await one.lab.ip(one.pod.name, '-6 route show dev net1');
    };
    expect(await mainRoutes(OURS)).toContain('fe80::/64');
    expect(await mainRoutes(GO)).not.toContain('fe80::/64');
  });

  it('leaves the rule of another interface with the same address', { tags: 'sbr/del-others' }, async () => {
    const left = async (side: Side) => {
      await using one = await routed();
      await one.ip(...interfaceOf('net2', FOUR));
      expect(await one.call('ADD', 'net2', FOUR)).toMatchObject({ exitCode: 0 });
      expect(await one.rules()).toEqual(['10.1.2.3 101', '10.1.2.3 100']);
      expect(await one.call('DEL', 'net2', FOUR, { side })).toMatchObject(OK);
      return await one.rules();
    };
    expect(await left(OURS)).toEqual(['10.1.2.3 100']);
    expect(await left(GO)).toEqual([]);
  });
});

describe.concurrent('DEL', () => {
  it('succeeds when the namespace is gone, and creates nothing', { tags: 'sbr/del-gone' }, async () => {
    await using one = await RoutedPod.open();
    const netns = join(one.lab.folder('netns'), 'gone');
    expect(await one.call('DEL', 'net1', FOUR, { netns })).toMatchObject(OK);
    expect(existsSync(netns)).toBe(false);
    expect(await one.call('DEL', 'net1', FOUR, { netns: '' })).toMatchObject(OK);
    writeFileSync(netns, '');
    expect(await one.call('DEL', 'net1', FOUR, { netns })).toMatchObject(OK);
    const other = join(one.lab.folder('netns'), 'go');
    expect(await one.call('DEL', 'net1', FOUR, { netns: other, side: GO })).toMatchObject({ exitCode: 1 });
    expect(existsSync(other)).toBe(true);
  });

  it.each([
    ['has lost its addresses', 'addr flush dev net1'],
    ['is gone', 'link del net1'],
  ])('deletes the rules when the interface %s', async (_, command) => {
    await using one = await routed(BOTH);
    await one.ip(command);
    expect(await one.call('DEL', 'net1', BOTH)).toMatchObject(OK);
    expect(await one.rules()).toEqual([]);
  });

  it('deletes the rules when the interface has another name', async () => {
    await using one = await routed(BOTH);
    const mac = String(linkOf(await stateOf(one.pod.name), 'net1')?.['address']);
    await one.ip('link set net1 name net9');
    const interfaces = [{ name: 'net1', mac, sandbox: one.pod.path }];
    const ips = BOTH.map(([address]) => ({ address, interface: 0 }));
    const more = { prevResult: { cniVersion: '1.1.0', interfaces, ips } };
    expect(await one.call('DEL', 'net1', BOTH, { more })).toMatchObject(OK);
    expect(await one.rules()).toEqual([]);
  });

  it.each([
    ['0.3.1', 'the interface is there', []],
    ['0.3.1', 'the interface is gone', ['link del net1']],
    ['1.1.0', 'the interface is gone', ['link del net1']],
  ])('needs no previous result (%s): %s', async (version, _, commands) => {
    await using one = await routed(BOTH);
    await one.ip(...commands);
    expect(await one.call('DEL', 'net1', [], { version, more: { prevResult: undefined } })).toMatchObject(OK);
    expect(await one.rules()).toEqual([]);
  });

  it('takes no rule from whoever has come to the path of the pod', async () => {
    await using one = await routed();
    const other = await one.lab.pod();
    for (const command of interfaceOf('net1', FOUR)) {
      await one.lab.ip(other.name, command);
    }
    const alias = 'braid 4026531840 another-container net1';
    await one.lab.run(['ip', '-n', other.name, 'link', 'set', 'net1', 'alias', alias]);
    await one.lab.ip(other.name, 'rule add from 10.1.2.3 lookup 100 protocol 98');
    await one.lab.ip(other.name, 'route add 10.8.0.0/16 dev net1 table 100');
    expect(await one.call('DEL', 'net1', FOUR, { netns: other.path })).toMatchObject(OK);
    expect((await rulesOf(other.name)).filter(({ src }) => src === '10.1.2.3')).toHaveLength(1);
  });
});

describe.concurrent('GC', () => {
  const gc = (one: RoutedPod, valid: readonly object[] | undefined) =>
    one.lab.call({
      verb: 'GC',
      plugin: 'sbr',
      conf: {
        cniVersion: '1.1.0',
        name: 'net-net1',
        type: 'sbr',
        ...(valid === undefined ? {} : { 'cni.dev/valid-attachments': valid }),
      },
    });

  it('deletes what links have left behind, and no other rule', async () => {
    await using one = await routed(BOTH);
    await one.ip(...interfaceOf('net2', [['10.5.0.2/24', '10.5.0.1']]));
    expect(await one.call('ADD', 'net2', [['10.5.0.2/24', '10.5.0.1']])).toMatchObject({ exitCode: 0 });
    await one.ip('rule add from 10.7.0.1 lookup 300', 'link del net1');
    const before = await one.rules();
    expect(await gc(one, undefined)).toMatchObject(OK); // the runtime did not say what is valid
    expect(await one.rules()).toEqual(before);
    expect(await gc(one, [])).toMatchObject(OK);
    expect(await one.rules()).toEqual(['10.7.0.1 300', '10.5.0.2 102']);
  });
});

describe('networks that are attached to a pod at once', () => {
  it.each([
    ['by processes of ours', () => OURS],
    ['by ours and by those of Go', (nth: number) => (nth % 2 === 0 ? OURS : GO)],
  ])('get tables of their own: %s', async (_, sideOf) => {
    await using one = await RoutedPod.open();
    const all = Array.from({ length: 8 }, (__, nth) => ({
      name: `net${nth}`,
      addresses: [[`10.5.${nth}.2/24`, `10.5.${nth}.1`]] as readonly Given[],
      side: sideOf(nth),
    }));
    for (const { name, addresses } of all) {
      await one.ip(...interfaceOf(name, addresses));
    }
    const outcomes = await Promise.all(
      all.map(({ name, addresses, side }) => one.call('ADD', name, addresses, { side })),
    );
    expect(outcomes.map(({ exitCode }) => exitCode)).toEqual(all.map(() => 0));
    const rules = await one.rules();
    expect(new Set(rules.map((rule) => rule.split(' ')[1]))).toEqual(new Set(all.map((__, nth) => `${100 + nth}`)));
    for (const rule of rules) {
      const [source = '', table] = rule.split(' ');
      const routes = (await one.tables()).filter((route) => route['table'] === table);
      expect(routes.map(({ dev }) => dev)).toEqual(routes.map(() => `net${source.split('.')[2]}`));
      expect(routes).toContainEqual(expect.objectContaining({ dst: 'default' }));
    }
    await Promise.all(all.map(({ name, addresses }) => one.call('DEL', name, addresses)));
    expect(await one.rules()).toEqual([]);
  });
});

const NETWORKS = 5;

describe('multus with several networks of macvlan, static and sbr', () => {
  const network = (nth: number, table?: number) => ({
    cniVersion: '1.1.0',
    name: `rail-${nth}`,
    plugins: [
      {
        type: 'macvlan',
        master: PARENT,
        ipam: { type: 'static', addresses: [{ address: `10.5.${nth}.2/24`, gateway: `10.5.${nth}.1` }] },
      },
      { type: 'sbr', ...(table === undefined ? {} : { table }) },
    ],
  });

  const callOf = (lab: Lab, pod: Pod, delegates: readonly object[]) => ({
    plugin: 'multus',
    netns: pod.path,
    ifName: 'eth0',
    conf: {
      cniVersion: '1.1.0',
      name: 'node',
      type: 'multus',
      cniDir: lab.folder('cni'),
      binDir: lab.folder('bin'),
      delegates,
    },
  });

  async function attached(env: Readonly<Record<string, string>>) {
    await using lab = await Lab.open();
    const pod = await lab.pod();
    if (Object.keys(env).length === 0) {
      for (const name of ['macvlan', 'static', 'sbr']) {
        writeFileSync(join(lab.folder('bin'), name), readFileSync(join(SCRIPT, name)), { mode: 0o644 });
      }
    }
    const call = {
      ...callOf(
        lab,
        pod,
        Array.from({ length: NETWORKS }, (_, nth) => network(nth)),
      ),
      env,
    };
    const pristine = await rulesOf(pod.name);
    const added = await lab.call({ ...call, verb: 'ADD' });
    expect(added).toMatchObject({ exitCode: 0 });
    const { routes } = await stateOf(pod.name);
    const rules = await rulesOf(pod.name);
    const result = { ...(parsed(added.stdout) as object), interfaces: [] };
    expect(addressTexts(await stateOf(pod.name), 'net4')).toContain('10.5.4.2/24');
    expect(await lab.call({ ...call, verb: 'CHECK' })).toMatchObject(OK);
    expect(await lab.call({ ...call, verb: 'STATUS' })).toMatchObject(OK);
    expect(await lab.call({ ...call, verb: 'DEL' })).toMatchObject(OK);
    expect(await rulesOf(pod.name)).toEqual(pristine);
    expect((await stateOf(pod.name)).links).toHaveLength(1);
    return { routes: routes.filter(({ dst }) => !/^(fe80|ff00)/.test(String(dst))), rules, result };
  }

  it('does inside the process what it does when each plugin is executed, one network after the other', async () => {
    const [inside, executed] = [await attached({}), await attached({ BRAID_EXEC_DELEGATES: '1' })];
    expect(inside).toEqual(executed);
    const tables = inside.rules.filter(({ src }) => src !== 'all').map(({ src, table }) => `${src} ${table}`);
    expect(tables.toSorted()).toEqual(Array.from({ length: NETWORKS }, (_, nth) => `10.5.${nth}.2 ${100 + nth}`));
  });

  it('refuses a fault of the last network before the first one is attached', async () => {
    await using lab = await Lab.open();
    const pod = await lab.pod();
    const delegates = Array.from({ length: 8 }, (_, nth) => network(nth, nth === 7 ? -1 : undefined));
    const outcome = await lab.call({ ...callOf(lab, pod, delegates), verb: 'ADD', path: OURS.path });
    expect(errorOf(outcome)).toMatchObject({ code: 7, message: expect.stringContaining('"table"') });
    expect((await stateOf(pod.name)).links).toHaveLength(1);
  });
});

describe('sbr killed after every effect', { timeout: 600_000 }, () => {
  async function killed(verb: 'ADD' | 'DEL', atLeast: number): Promise<void> {
    await using one = await RoutedPod.open();
    await killAfterEach(atLeast, {
      before: async () => {
        await one.ip(...interfaceOf('net1', BOTH), 'route add 10.8.0.0/16 via 10.1.2.1');
        return verb === 'DEL' && one.call('ADD', 'net1', BOTH);
      },
      call: async (last) => one.call(verb, 'net1', BOTH, { env: await killedAfter('sbr', one.lab.dir, last) }),
      after: async () => {
        expect(await one.call('DEL', 'net1', BOTH)).toMatchObject(OK);
        expect(await one.rules()).toEqual([]);
        await one.ip('link del net1');
        expect(await one.tables()).toEqual([]);
      },
    });
  }

  it('of ADD: DEL leaves no rule, and no table when the interface has gone', () => killed('ADD', 8));

  it('of DEL: another one leaves no rule', () => killed('DEL', 2));
});
