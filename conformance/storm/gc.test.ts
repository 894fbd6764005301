/** GC of multus while the node is not at rest: after an ADD that was killed, and beside one that is on its way. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { fake } from '../lab/fakes.ts';
import { killedAfter, stepsOf, untilItEnds } from '../lab/steps.ts';
import { OK } from './storm.ts';
import { type Container, interfacesIn, type Network, StormNode } from './storm-node.ts';

const valid = (...ids: readonly string[]) => ({
  'cni.dev/valid-attachments': ids.map((containerID) => ({ containerID, ifname: 'eth0' })),
});

/** What a call has left of a container, in words; nothing when all is gone. */
async function leftOf(node: StormNode, { id, pod }: Container): Promise<string> {
  const [[, ...links], { cni, records, taken }] = await Promise.all([interfacesIn(pod), node.everything()]);
  return [...links, ...[...cni, ...records, ...taken].filter((text) => new RegExp(`\\b${id}\\b`).test(text))].join(
    ', ',
  );
}

const slow = { cniVersion: '1.1.0', name: 'slow', type: 'slow' };

/** A plugin that stops at some verbs until it is let go. */
function slowIn(node: StormNode, verbs: readonly string[]): void {
  const waits = 'for _ in $(seq 300); do [ -e "$PWD/$CNI_COMMAND-on" ] && break; sleep 0.1; done';
  const stops = `case $CNI_COMMAND in ${verbs.join('|')}) touch "$PWD/$CNI_COMMAND-reached"; ${waits} ;; esac`;
  fake(node.lab, 'slow', `${stops}\n[ "$CNI_COMMAND" != ADD ] || echo '{"cniVersion":"1.1.0"}'`);
}

async function reached(node: StormNode, verb: string): Promise<void> {
  while (!existsSync(join(node.lab.dir, `${verb}-reached`))) {
    await sleep(5);
  }
}

const letGo = (node: StormNode, verb: string): void => writeFileSync(join(node.lab.dir, `${verb}-on`), '');

describe.concurrent.each([
  { verb: 'DEL', calling: () => ({}) },
  { verb: 'GC', calling: () => ({ more: valid(), netns: '' }) },
])('$verb after an ADD that was killed', ({ verb, calling }) => {
  const shapes: readonly (readonly Network[])[] = [
    ['m0', 'm1'],
    ['m0', 'd0'],
  ];

  it.each(shapes.map((networks) => ({ networks })))(
    'takes $networks away from a pod that lives, whichever effect was the last',
    async ({ networks }) => {
      await using node = await StormNode.open(1);
      const left: string[] = [];
      await untilItEnds(12, async (last) => {
        const container = await node.container(`c${last}`, networks);
        const outcome = await node.call('ADD', container, { env: await killedAfter('multus', node.lab.dir, last) });
        await node.must(verb, container, calling());
        const what = await leftOf(node, container);
        left.push(...(what === '' ? [] : [`${last} (${stepsOf(outcome).at(-1)}): ${what}`]));
        await node.must('DEL', container);
        return outcome;
      });
      expect(left).toEqual([]);
    },
    600_000,
  );
});

describe.concurrent("GC of a pod of the Go plugin's, whose ADD was killed before a result was kept", () => {
  it.each([true, false])(
    'frees its address when the interface is gone, and it is: the pod lives: %s',
    async (isAlive) => {
      await using node = await StormNode.open(0);
      const container = await node.container('c1', ['m0']);
      const other = await node.container('c2', ['m0']);
      await node.must('ADD', container);
      await node.must('ADD', other);
      for (const { pod } of [container, other]) {
        await node.lab.ip(pod.name, 'link set eth0 alias unmarked');
      }
      const scratch = join(node.cniDir, 'c1');
      const [{ braid: _, ...delegate }] = JSON.parse(readFileSync(scratch, 'utf8'));
      writeFileSync(scratch, JSON.stringify([delegate]));
      rmSync(join(node.cniDir, 'results/rail-0-c1-eth0'));
      if (!isAlive) {
        await node.lab.remove(container.pod);
      }
      await node.must('GC', other, { more: valid('c2'), netns: '' });
      expect(await node.taken()).toEqual(['10.5.0.0-24: 10.5.0.2 of c2']);
      expect(isAlive ? await interfacesIn(container.pod) : ['lo']).toEqual(['lo']);
      await node.must('CHECK', other);
    },
  );
});

describe('GC while another pod is being added', () => {
  it.each([
    { what: 'address', networks: ['m0'] },
    { what: 'device', networks: ['d0'] },
  ] as const)('takes no $what from it: the runtime has named it', async ({ networks }) => {
    await using node = await StormNode.open(1);
    slowIn(node, ['GC']); // it runs between looking who lives and collecting
    const old = await node.container('c1', networks);
    const young = await node.container('c2', ['m1', 'm2', ...networks]); // the same network in another place
    const delegates = [slow, ...networks.map((network) => node.network(network))];
    const collecting = node.call('GC', old, { more: { delegates, ...valid('c2') }, netns: '' });
    await reached(node, 'GC');
    await node.must('ADD', young);
    letGo(node, 'GC');
    expect(await collecting).toMatchObject(OK);
    await node.must('CHECK', young);
    expect(await node.taken()).toHaveLength(3);
  });

  it('takes no address from a pod that was being deleted when it looked, and comes again', async () => {
    await using node = await StormNode.open(0);
    slowIn(node, ['DEL', 'GC']);
    const dead = await node.container('c1', []);
    const young = await node.container('c2', ['m1', 'm0']);
    await node.must('ADD', dead, { more: { delegates: [slow] } });
    await node.must('ADD', young);
    rmSync(join(node.cniDir, 'results/rail-0-c2-net1')); // DEL removes one result after the other, the last one first
    const delegates = [slow, node.macvlan(1), node.macvlan(0)]; // the same networks in other places
    const collecting = node.call('GC', young, { more: { delegates, ...valid('c2') }, netns: '' });
    await reached(node, 'DEL');
    await node.must('DEL', young);
    letGo(node, 'DEL');
    await reached(node, 'GC');
    await node.must('ADD', young);
    letGo(node, 'GC');
    expect(await collecting).toMatchObject(OK);
    await node.must('CHECK', young);
    expect(await node.taken()).toHaveLength(2);
  });
});
