/** braid gc: what counts as evidence of life, and that it names what it leaves and why. */
import { describe, expect, it } from 'vitest';
import { answer, fake } from '../lab/fakes.ts';
import type { Pod } from '../lab/lab.ts';
import { STANDALONE } from '../lab/programs.ts';
import { BraidNode, OUTER } from './lab.ts';

interface Named {
  readonly containerId: string;
  readonly reason: string;
  readonly attachments: readonly { readonly pod: string; readonly addresses: readonly string[] }[];
}

interface Collected {
  readonly collected: readonly Named[];
  readonly left: readonly Named[];
}

interface Shown {
  readonly pool: string;
  readonly taken: readonly { readonly address: string; readonly id: string }[];
}

const addressIn = ({ net }: BraidNode): string => `${net}.1/24`; // the first that is given
const GC = `gc --cri none --wait 0 --bin ${STANDALONE}`;

const onNode = (test: (node: BraidNode) => Promise<void>) => async () => {
  await using node = await BraidNode.open();
  await test(node);
};

const gc = (node: BraidNode, more = ''): Promise<Collected> => node.json(`${GC} ${more}`.trim());

async function attach(node: BraidNode, network: object): Promise<Pod> {
  node.configure(network);
  const pod = await node.pod();
  expect(await node.cnitool('add', pod)).toMatchObject({ exitCode: 0 });
  return pod;
}

const poolsInUse = async (node: BraidNode): Promise<readonly string[]> =>
  (await node.json<readonly Shown[]>('ipam show')).flatMap(({ pool, taken }) => taken.map(() => pool));

describe('an address of a dead pod', () => {
  it(
    'is no evidence where it is the address of a living pod of another network',
    onNode(async (node) => {
      const dead = await attach(node, node.network('blue'));
      await attach(node, node.network('red', { network_name: 'red' })); // the same range, the same first address
      expect(await poolsInUse(node)).toEqual([`${node.net}.0-24`, `red-${node.net}.0-24`]);
      expect(await node.json('ipam check --cri none --wait 0')).toMatchObject({ troubles: [] });
      await node.lab.remove(dead);
      expect((await node.about('list')).stdout).toContain('1 whose namespace is gone: run "braid gc"');
      expect(await gc(node)).toMatchObject({ collected: [{ reason: 'its namespace is gone' }], left: [] });
      expect(await poolsInUse(node)).toEqual([`red-${node.net}.0-24`]);
      expect((await node.about('list')).stdout).toMatch(/\n1 attachment\n$/);
    }),
  );

  it(
    'is no evidence where a plugin of others, with its own IPAM, has given it to a living pod',
    onNode(async (node) => {
      const dead = await attach(node, node.network('blue'));
      await node.lab.remove(dead);
      const result = { cniVersion: '1.1.0', interfaces: [], ips: [{ address: addressIn(node) }] };
      const folder = fake(node.lab, 'foreign', answer(result));
      const pod = await node.pod();
      await node.lab.ip(pod.name, `link add ${OUTER} type veth peer name peer`);
      await node.lab.ip(pod.name, `addr add ${addressIn(node)} dev ${OUTER}`);
      node.configure({ cniVersion: '1.1.0', name: 'theirs', plugins: [{ type: 'foreign' }] });
      expect(await node.cnitool('add', pod, [folder])).toMatchObject({ exitCode: 0 });
      expect(await gc(node)).toMatchObject({ collected: [{ reason: 'its namespace is gone' }], left: [] });
      expect(await poolsInUse(node)).toEqual([]);
    }),
  );

  it(
    'is evidence where nobody is recorded to have it: gc says what it leaves, where the address is, and collects it later',
    onNode(async (node) => {
      const dead = await attach(node, node.network('blue'));
      await node.lab.remove(dead);
      const stranger = await node.pod();
      await node.lab.ip(stranger.name, `addr add ${addressIn(node)} dev lo`);
      const reason = `its address ${node.net}.1 is in use on "lo" in namespace "/run/netns/${stranger.name}"`;
      const pod = `lab/${dead.name}`;
      for (const more of ['', '--dry-run']) {
        expect(await gc(node, more)).toMatchObject({
          collected: [],
          left: [{ reason, attachments: [{ pod, addresses: [addressIn(node)] }] }],
        });
      }
      const { stdout } = await node.about(GC);
      expect(stdout).toMatch(
        new RegExp(
          `^left: container cnitool-\\S+ of pod ${pod}: ${reason}\\ncollected 0 attachments of 0 containers; left 1 container\\n$`,
        ),
      );
      await node.lab.ip(stranger.name, `addr del ${addressIn(node)} dev lo`);
      expect(await gc(node)).toMatchObject({ collected: [{ attachments: [{ pod }] }], left: [] });
    }),
  );

  it(
    'counts on the node itself where only a store knows the container: addresses may be reserved for the node',
    onNode(async (node) => {
      const dead = await attach(node, node.network('blue'));
      await node.lab.remove(dead);
      const store = node.whereabouts({ range: node.range });
      expect(await store.add('for-the-node')).toEqual([`${node.net}.2/24`]);
      for (const address of [`${node.net}.1/24`, `${node.net}.2/24`]) {
        await node.lab.ip(node.lab.node, `addr add ${address} dev par`);
      }
      expect(await gc(node)).toMatchObject({
        collected: [{ reason: 'its namespace is gone' }],
        left: [
          { containerId: 'for-the-node', reason: `its address ${node.net}.2 is in use on "par" on the node itself` },
        ],
      });
    }),
  );
});

describe('braid gc', () => {
  it(
    'leaves what it cannot delete, and says why',
    onNode(async (node) => {
      const { plugins, ...rest } = node.network('blue') as { readonly plugins: readonly object[] };
      const folder = fake(
        node.lab,
        'stubborn',
        'cat >/dev/null; [ "$CNI_COMMAND" = ADD ] && echo \'{"cniVersion":"1.1.0"}\' || exit 1',
      );
      node.configure({ ...rest, plugins: [...plugins, { type: 'stubborn' }] });
      const pod = await node.pod();
      expect(await node.cnitool('add', pod, [folder])).toMatchObject({ exitCode: 0 });
      await node.lab.remove(pod);
      const outcome = await node.about(GC, '--json');
      expect(outcome).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/^braid: cannot delete "eth0" of /) });
      expect(JSON.parse(outcome.stdout)).toMatchObject({
        collected: [],
        left: [{ reason: expect.stringMatching(/^cannot delete "eth0" of .*stubborn/) }],
      });
      fake(node.lab, 'stubborn', 'cat >/dev/null');
      expect(await gc(node, `--bin ${STANDALONE}:${folder}`)).toMatchObject({ collected: [{}], left: [] });
    }),
  );
});
