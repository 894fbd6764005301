/** braid list, gc and ipam: what is on a node after pods have come, gone, and died. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Pod } from '../lab/lab.ts';
import { STANDALONE } from '../lab/programs.ts';
import { filesIn, linkOf, stateOf } from '../lab/state.ts';
import { databaseIn } from '../lab/store.ts';
import { BraidNode, OUTER } from './lab.ts';

interface Attached {
  readonly pod: string;
  readonly containerId: string;
  readonly ifName: string;
  readonly network: string;
  readonly addresses: readonly string[];
  readonly namespace: string;
  readonly device: string;
}

interface Collected {
  readonly collected: readonly { readonly containerId: string; readonly reason: string }[];
  readonly left: readonly { readonly containerId: string; readonly reason: string }[];
}

interface Checked {
  readonly troubles: readonly { readonly kind: string; readonly address: string; readonly text: string }[];
  readonly repaired: readonly { readonly kind: string; readonly address: string }[];
}

interface Shown {
  readonly pool: string;
  readonly counts: Readonly<Record<string, string>>;
  readonly taken: readonly { readonly address: string; readonly id: string }[];
}

const onNode = (test: (node: BraidNode) => Promise<void>) => async () => {
  await using node = await BraidNode.open();
  await test(node);
};

const GC = `gc --cri none --wait 0 --bin ${STANDALONE}`;
const CHECK = 'ipam check --cri none --wait 0';

const list = (node: BraidNode): Promise<readonly Attached[]> => node.json('list');
const reserved = async (node: BraidNode): Promise<readonly string[]> =>
  (await node.json<readonly Shown[]>('ipam show')).flatMap(({ taken }) => taken.map(({ address }) => address)).sort();

/** A node with a pod on two networks of multus. */
async function withPods(node: BraidNode, count: number): Promise<readonly Pod[]> {
  node.configure(
    node.multus([node.network('blue'), node.network('red', { network_name: 'red', range: `${node.otherNet}.0/24` })]),
  );
  const pods: Pod[] = [];
  for (let index = 0; index < count; index++) {
    const pod = await node.pod();
    expect(await node.cnitool('add', pod)).toMatchObject({ exitCode: 0 });
    pods.push(pod);
  }
  return pods;
}

describe('braid list', () => {
  it(
    'merges what runtime, multus and whereabouts have recorded, and marks namespaces that are gone',
    onNode(async (node) => {
      expect((await node.about('list')).stdout).toContain('no attachments');
      const [first, second] = await withPods(node, 2);
      const attached = await list(node);
      expect(attached.map(({ ifName, network, addresses }) => [ifName, network, addresses])).toEqual([
        [OUTER, 'blue', [expect.stringMatching(new RegExp(`^${node.net}.[12]/24$`))]],
        ['net1', 'red', [expect.stringMatching(new RegExp(`^${node.otherNet}.[12]/24$`))]],
        [OUTER, 'blue', [expect.stringMatching(new RegExp(`^${node.net}.[12]/24$`))]],
        ['net1', 'red', [expect.stringMatching(new RegExp(`^${node.otherNet}.[12]/24$`))]],
      ]);
      expect(new Set(attached.map(({ pod }) => pod))).toEqual(
        new Set([first, second].map((pod) => `lab/${pod?.name}`)),
      );
      expect(new Set(attached.map(({ namespace }) => namespace))).toEqual(new Set(['there']));
      await node.lab.remove(first as Pod);
      expect((await list(node)).map(({ namespace }) => namespace).sort()).toEqual(['gone', 'gone', 'there', 'there']);
      const text = (await node.about('list')).stdout;
      expect(text).toMatch(/^POD +CONTAINER +NETWORK +INTERFACE +ADDRESSES +AGE +NAMESPACE$/m);
      expect(text).toContain('4 attachments, 2 whose namespace is gone: run "braid gc"');
      expect(await node.cnitool('del', second as Pod)).toMatchObject({ exitCode: 0 });
      expect(await list(node)).toHaveLength(2);
    }),
  );

  it(
    'names the device that a pod has',
    onNode(async (node) => {
      const pod = await node.pod();
      node.configure(node.hostDevice());
      expect(await node.cnitool('add', pod)).toMatchObject({ exitCode: 0 });
      expect(await list(node)).toMatchObject([{ ifName: OUTER, network: 'node', device: 'par', namespace: 'there' }]);
    }),
  );

  it(
    'stops uninstall, which --force overrides',
    onNode(async (node) => {
      await withPods(node, 1);
      await node.braid(`install --bin ${node.bin}`);
      const refused = await node.about(`uninstall --bin ${node.bin}`);
      expect(refused).toMatchObject({
        exitCode: 1,
        stderr: expect.stringMatching(/need the plugins for DEL[\s\S]*lab\/braid-/),
      });
      expect(existsSync(join(node.bin, 'multus'))).toBe(true);
      expect(await node.about(`uninstall --bin ${node.bin} --force`)).toMatchObject({ exitCode: 0 });
      expect(filesIn(node.bin)).toEqual({});
    }),
  );
});

describe('braid gc', () => {
  it(
    'collects all that a dead pod has left, and nothing of one that lives',
    onNode(async (node) => {
      const [dead, alive] = await withPods(node, 2);
      const link = linkOf(await stateOf((alive as Pod).name), OUTER);
      await node.lab.remove(dead as Pod);
      const dry = await node.json<Collected>(`${GC} --dry-run`);
      expect(dry.collected).toMatchObject([{ reason: 'its namespace is gone' }]);
      expect(await list(node)).toHaveLength(4);

      const { collected } = await node.json<Collected>(GC);
      expect(collected).toEqual(dry.collected);
      expect((await list(node)).map(({ namespace }) => namespace)).toEqual(['there', 'there']);
      expect(await reserved(node)).toHaveLength(2);
      expect(readdirSync(join(node.cacheDir, 'results'))).toHaveLength(1);
      expect(readdirSync(join(node.lab.dir, 'multus/results'))).toHaveLength(2);
      expect(linkOf(await stateOf((alive as Pod).name), OUTER)).toEqual(link);
      expect((await node.json<Collected>(GC)).collected).toEqual([]);
      expect(await node.cnitool('del', alive as Pod)).toMatchObject({ exitCode: 0 });
      expect(await reserved(node)).toEqual([]);
    }),
  );

  it(
    'collects a reservation that nobody else knows of, unless some namespace has the address',
    onNode(async (node) => {
      node.configure(node.network('blue'));
      const store = node.whereabouts({ range: node.range });
      await store.add('leak');
      const [address = ''] = await store.add('lives');
      const pod = await node.pod();
      await node.lab.ip(pod.name, `addr add ${address} dev lo`);
      expect((await node.json<Collected>(GC)).collected.map(({ containerId }) => containerId)).toEqual(['leak']);
      expect(await reserved(node)).toEqual([`${node.net}.2`]);
    }),
  );

  it(
    'leaves a pod that is just being attached',
    onNode(async (node) => {
      await withPods(node, 1);
      const multusDir = join(node.lab.dir, 'multus');
      const [scratch = ''] = readdirSync(multusDir).filter((name) => name !== 'results');
      const [{ braid: _, ...first }, ...others] = JSON.parse(readFileSync(join(multusDir, scratch), 'utf8'));
      writeFileSync(join(multusDir, 'begun'), JSON.stringify([first, ...others])); // as the Go plugin writes it
      expect(await node.json<Collected>(GC)).toMatchObject({ collected: [], left: [{ containerId: 'begun' }] });
      expect(existsSync(join(multusDir, 'begun'))).toBe(true);
    }),
  );

  it(
    'removes locks of killed calls, whoever they were about',
    onNode(async (node) => {
      await withPods(node, 1);
      const pod = await node.pod();
      node.configure(node.hostDevice());
      await node.cnitool('add', pod);
      const folders = ['multus', 'devices'].map((name) => join(node.lab.dir, name));
      for (const folder of folders) {
        writeFileSync(join(folder, '.somebody.lock'), '');
      }
      const locks = () => folders.filter((folder) => existsSync(join(folder, '.somebody.lock')));
      await node.about(`${GC} --dry-run`);
      expect(locks()).toEqual(folders);
      expect(await node.json<Collected>(GC)).toMatchObject({ collected: [] });
      expect(locks()).toEqual([]);
    }),
  );

  it(
    'forgets a device whose pod has died, and goes on after a failure',
    onNode(async (node) => {
      const pod = await node.pod();
      node.configure(node.hostDevice());
      await node.cnitool('add', pod);
      await node.lab.remove(pod); // the veth dies with it
      writeFileSync(join(node.cacheDir, 'results/broken'), '{');
      const outcome = await node.about(GC);
      expect(outcome).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('broken') });
      expect(filesIn(join(node.lab.dir, 'devices'))).toEqual({});
    }),
  );

  it(
    'does not go by namespaces when the runtime that is named does not answer',
    onNode(async (node) => {
      expect(await node.about('gc --cri /no/such/socket')).toMatchObject({
        exitCode: 1,
        stderr: expect.stringContaining('socket'),
      });
      expect((await node.about('gc --wait soon')).exitCode).toBe(2);
    }),
  );
});

describe('braid ipam show', () => {
  it(
    'counts and draws what is free, taken, excluded and static',
    onNode(async (node) => {
      const ipam = {
        range: `${node.net}.0/26`,
        exclude: [`${node.net}.32/28`],
        gateway: `${node.net}.62`,
        range_end: `${node.net}.60`,
      };
      node.configure(node.network('blue', ipam));
      const store = node.whereabouts(ipam);
      await store.add('a');
      await store.add('b', { args: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=db-0' });
      const svg = join(node.lab.dir, 'pool.svg');
      const { stdout } = await node.about(`ipam show --svg ${svg}`);
      expect(stdout).toMatch(new RegExp(`^${node.net}.0-26 +${node.net}.0/26 +64 +2 +1 +19 +42 +4 %$`, 'm'));
      expect(stdout).toContain(`  ${node.net}.0  x##${'.'.repeat(29)}${'x'.repeat(16)}${'.'.repeat(13)}xSx`);
      expect(readFileSync(svg, 'utf8')).toContain(`<title>${node.net}.2: lab/db-0 net1</title>`);
      expect(await node.json(`ipam show ${node.net}.0-26`)).toMatchObject([{ counts: { taken: '2', free: '42' } }]);
      expect(await node.about('ipam show red')).toMatchObject({
        exitCode: 1,
        stderr: expect.stringContaining(`"${node.net}.0-26"`),
      });
    }),
  );

  it(
    'draws blocks of a large range, and of a huge one what is in use',
    onNode(async (node) => {
      const ipam = { range: '', ipRanges: [{ range: '10.16.0.0/12' }, { range: 'fd05::/64' }] };
      node.configure(node.network('blue', ipam));
      await node.whereabouts(ipam).add('a');
      const { stdout } = await node.about('ipam show');
      expect(stdout).toContain('one sign is 1024 addresses: . free, + partly taken');
      expect(stdout).toMatch(/fd05:: +x#\.+\n/);
      expect(stdout.split('\n').length).toBeLessThan(50);
    }),
  );
});

describe('braid ipam check', () => {
  it(
    'finds leaks and frees them, and nothing else',
    onNode(async (node) => {
      const [dead] = await withPods(node, 2);
      expect((await node.about(CHECK)).stdout).toContain('4 reservations in 2 pools: all is well');
      await node.lab.remove(dead as Pod);
      await node.whereabouts({ range: node.range }).add('leak');
      const found = await node.json<Checked>(CHECK, 1);
      expect(found.troubles.map(({ kind }) => kind)).toEqual(['leak', 'leak', 'leak']);
      expect(await reserved(node)).toHaveLength(5);
      const repaired = await node.json<Checked>(`${CHECK} --repair`);
      expect(repaired.repaired.map(({ address }) => address).sort()).toEqual(
        found.troubles.map(({ address }) => address).sort(),
      );
      expect(await reserved(node)).toHaveLength(2);
      expect(await node.json<Checked>(CHECK)).toMatchObject({ troubles: [], repaired: [] });
    }),
  );

  it(
    'finds addresses that two have, in the store and in namespaces',
    onNode(async (node) => {
      const open = { enable_overlapping_ranges: false };
      node.configure(node.network('blue', open));
      const [one, other] = [await node.pod(), await node.pod()];
      for (const pod of [one, other]) {
        expect(await node.cnitool('add', pod)).toMatchObject({ exitCode: 0 });
      }
      await node.lab.ip(other.name, `addr add ${node.net}.1/32 dev lo`);
      expect(await node.whereabouts({ range: `${node.net}.0/25`, ...open }).add('b')).toEqual([`${node.net}.1/25`]);
      const { troubles } = await node.json<Checked>(CHECK, 1);
      const texts = troubles.map(({ text }) => text);
      expect(texts).toContainEqual(
        expect.stringMatching(new RegExp(`^${node.net}.1 is reserved twice: for lab/braid.* and container b`)),
      );
      expect(texts).toContainEqual(expect.stringMatching(new RegExp(`^${node.net}.1 is in use twice: in "/run/netns`)));
      expect((await node.json<Checked>(`${CHECK} --repair`, 1)).repaired).toEqual([]); // the address of b is in use
    }),
  );

  it(
    'finds an address in use that is not reserved, and a gateway that may be given away',
    onNode(async (node) => {
      const [pod] = await withPods(node, 1);
      const [{ containerId } = { containerId: '' }] = await list(node);
      await node.whereabouts({ range: node.range }).del(containerId, { ifName: OUTER });
      expect((await node.json<Checked>(CHECK, 1)).troubles).toMatchObject([
        { kind: 'unreserved', address: `${node.net}.1` },
      ]);
      await node.cnitool('del', pod as Pod);
      node.configure(node.network('blue', { gateway: `${node.net}.9` }));
      expect((await node.json<Checked>(CHECK, 1)).troubles).toMatchObject([
        { kind: 'exposed', address: `${node.net}.9` },
      ]);
    }),
  );

  it(
    'tells a store that is damaged, and rebuilds it from what living pods have',
    onNode(async (node) => {
      const [one, other] = await withPods(node, 2);
      const before = await reserved(node);
      expect(before).toHaveLength(4);
      rmSync(`${databaseIn(node.store)}-wal`);
      expect(await node.about(CHECK)).toMatchObject({
        exitCode: 1,
        stderr: expect.stringContaining('cannot trust the store'),
      });
      expect(await node.cnitool('del', other as Pod)).not.toMatchObject({ exitCode: 0 });
      await node.lab.remove(other as Pod);
      const { stdout } = await node.about(`${CHECK} --repair`);
      expect(stdout).toMatch(/cannot trust the store/);
      expect(stdout).toMatch(/rebuilt the store in ".*": [12] reservations?, [12] of them proved by living pods/);
      const now = await reserved(node);
      expect(now.length).toBeGreaterThan(0);
      expect(before).toEqual(expect.arrayContaining([...now]));
      expect(await node.json<Checked>(CHECK)).toMatchObject({ troubles: [], faults: [] });
      expect(await node.cnitool('del', one as Pod)).toMatchObject({ exitCode: 0 });
    }),
  );
});
