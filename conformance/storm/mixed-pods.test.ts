/** Pods whose networks are of several plugins: what one waits for, another must not take away. */
import { describe, expect, it } from 'vitest';
import { ifNameOf } from './storm.ts';
import { interfacesIn, type Network, StormNode } from './storm-node.ts';

const SHAPES: readonly (readonly Network[])[] = [
  ['d0', 'm0', 'm1'],
  ['m0', 'd0', 'm1'],
  ['m0', 'm1', 'd0'],
  ['d0', 'd1', 'm0'],
  ['d0', 'd1', 'm0', 'm1', 'm2'],
  ['m0', 'd0', 'm1', 'd1', 'm2'],
  ['m0', 'm1', 'm2', 'd0', 'd1'],
  ['d0', 'm0', 'm1', 'm2', 'm3', 'm4', 'd1'],
];

const namesOf = (networks: readonly Network[]): readonly string[] => [
  'lo',
  ...networks.map((_, index) => ifNameOf(index)),
];

describe.concurrent.each(SHAPES.map((networks) => ({ networks, title: networks.join(' ') })))(
  '$title',
  ({ networks }) => {
    it('is added, checked and deleted at the first try, and all is as before', async () => {
      await using node = await StormNode.open(2);
      const container = await node.container('c1', networks);
      const before = await node.everything();
      for (let round = 0; round < 3; round++) {
        await node.must('ADD', container);
        expect([...(await interfacesIn(container.pod))].sort()).toEqual([...namesOf(networks)].sort());
        expect(await node.taken()).toHaveLength(networks.length);
        await node.must('CHECK', container);
        await node.must('DEL', container);
        await node.expectAsBefore(before);
      }
      await node.must('DEL', container);
    });

    it('is collected at the first try, and all is as before', async () => {
      await using node = await StormNode.open(2);
      const container = await node.container('c1', networks);
      const before = await node.everything();
      await node.must('ADD', container);
      await node.must('GC', container, { more: { 'cni.dev/valid-attachments': [] }, netns: '' });
      await node.expectAsBefore(before);
    });
  },
);

describe.concurrent('a last network that fails', () => {
  const faults: readonly {
    readonly what: string;
    readonly last: (node: StormNode) => object;
    readonly code: number;
  }[] = [
    { what: 'before it does anything', last: (node) => node.macvlan(9, { mtu: 9000 }), code: 7 },
    {
      what: 'for want of an address, when its link is made',
      last: (node) => node.macvlan(9, { ipam: node.whereabouts('10.5.9.0/30', { exclude: ['10.5.9.0/30'] }) }),
      code: 999,
    },
    {
      what: 'for want of an address, when its device is in the pod',
      last: (node) => node.hostDevice(2, { ipam: node.whereabouts('10.5.9.0/30', { exclude: ['10.5.9.0/30'] }) }),
      code: 999,
    },
    { what: 'for want of its device', last: (node) => node.hostDevice(9), code: 999 },
  ];

  it.each(faults.flatMap((fault) => [SHAPES[1], SHAPES[4]].map((networks = []) => ({ ...fault, networks }))))(
    '$what, after $networks: all that was done is undone at the first try',
    async ({ last, networks, code }) => {
      await using node = await StormNode.open(3);
      const container = await node.container('c1', networks);
      const before = await node.everything();
      const delegates = [...networks.map((network) => node.network(network)), last(node)];
      expect(await node.fails('ADD', container, { more: { delegates } })).toMatchObject({ code });
      await node.expectAsBefore(before);
      await node.must('DEL', container, { more: { delegates } });
      await node.expectAsBefore(before);
    },
  );
});
