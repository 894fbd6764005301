import { describe, expect, it } from 'vitest';
import { BraidNode } from '../braid/lab.ts';
import type { Pod } from '../lab/lab.ts';
import { STANDALONE } from '../lab/programs.ts';
import { Agent } from './agent.ts';

interface Shown {
  readonly taken: readonly { readonly id: string }[];
}

const optionsOf = ({ confDir, cacheDir }: BraidNode): readonly string[] =>
  `--conf-dir ${confDir} --cache-dir ${cacheDir} --cri none --wait 0 --collect 1 --bin ${STANDALONE}`.split(' ');

const owners = async (node: BraidNode): Promise<readonly string[]> =>
  (await node.json<readonly Shown[]>('ipam show')).flatMap(({ taken }) => taken.map(({ id }) => id)).sort();

async function attach(node: BraidNode): Promise<Pod> {
  const pod = await node.pod();
  expect(await node.cnitool('add', pod)).toMatchObject({ exitCode: 0 });
  return pod;
}

describe('an agent that collects', () => {
  it('gives back what pods had that ended without DEL, before it came and while it is there, and nothing of others', async () => {
    await using node = await BraidNode.open();
    node.configure(node.network('blue'));
    await attach(node);
    const living = await owners(node);
    const [before, during] = [await attach(node), await attach(node)];
    expect(await owners(node)).toHaveLength(3);
    await node.lab.remove(before);
    await using agent = await Agent.start(node.lab, { options: optionsOf(node), wrapper: node.withOwnState() });
    const collected = (): number => agent.log.match(/collected container \S+: its namespace is gone/g)?.length ?? 0;
    await agent.until(() => collected() === 1);
    await node.lab.remove(during);
    await agent.until(() => collected() === 2);
    expect(await owners(node)).toEqual(living);
    expect((await node.about('list')).stdout).toMatch(/\n1 attachment\n$/);
    expect(await agent.end()).toBe(0);
  });

  it('leaves it to the next one', async () => {
    await using node = await BraidNode.open();
    await using agent = await Agent.start(node.lab, { options: optionsOf(node), wrapper: node.withOwnState() });
    await agent.start();
    expect(await agent.firstEnd()).toBe(0);
    expect(await agent.end()).toBe(0);
  });
});
