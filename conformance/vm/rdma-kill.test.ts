/** Calls of the plugin rdma that are killed after each of their effects: what the next call makes of it. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Pod } from '../lab/lab.ts';
import { killAfterEach } from '../lab/steps.ts';
import { rdmaDevices } from './rdma.ts';
import { RdmaNode, rdmaOf } from './rdma-lab.ts';

const RDMA = rdmaOf(0);
const ALL = { devices: [RDMA], states: [] };
const OK = { exitCode: 0, stdout: '', stderr: '' };

let lab: RdmaNode;
let pod: Pod;
let next: Pod;

beforeAll(async () => {
  lab = await RdmaNode.open(1);
});
afterAll(() => lab[Symbol.asyncDispose]());
beforeEach(async () => {
  [pod, next] = [await lab.pod(), await lab.pod()];
});

/** A call that is killed after one of its effects, or comes to its end. */
const killed = (verb: string) => (last: number) => lab.killedAfter(last, { verb, pod });

describe('an ADD that is killed', { timeout: 600_000 }, () => {
  it('leaves what DEL takes back, and the next pod gets the device', { tags: 'rdma/state-first' }, async () => {
    await killAfterEach(5, {
      call: killed('ADD'),
      after: async () => {
        expect(await lab.call({ verb: 'DEL', pod })).toMatchObject(OK);
        expect(await lab.picture()).toEqual(ALL);
        await lab.must({ verb: 'ADD', pod: next });
        expect(await rdmaDevices(next)).toEqual([RDMA]);
        await lab.must({ verb: 'DEL', pod: next });
      },
    });
  });

  it('leaves what the next ADD completes', async () => {
    await killAfterEach(5, {
      call: killed('ADD'),
      after: async () => {
        expect(await lab.must({ verb: 'ADD', pod })).toMatchObject({ interfaces: [{ name: 'net1' }] });
        expect(await rdmaDevices(pod)).toEqual([RDMA]);
        await lab.must({ verb: 'DEL', pod });
        expect(await lab.picture()).toEqual(ALL);
      },
    });
  });

  it('leaves nothing that outlives its pod: the next one gets the device, and a late DEL does not take it away', async () => {
    await killAfterEach(5, {
      call: killed('ADD'),
      after: async () => {
        await lab.end(pod);
        await lab.must({ verb: 'ADD', pod: next });
        expect(await lab.call({ verb: 'DEL', pod, netns: '' })).toMatchObject(OK);
        expect(await rdmaDevices(next)).toEqual([RDMA]);
        await lab.must({ verb: 'DEL', pod: next });
        expect(await lab.picture()).toEqual(ALL);
        pod = await lab.pod();
      },
    });
  });
});

describe('a DEL that is killed', { timeout: 600_000 }, () => {
  it('leaves what the next DEL completes', async () => {
    await killAfterEach(3, {
      before: () => lab.must({ verb: 'ADD', pod }),
      call: killed('DEL'),
      after: async () => {
        expect(await lab.call({ verb: 'DEL', pod })).toMatchObject(OK);
        expect(await lab.picture()).toEqual(ALL);
      },
    });
  });
});
