/** Calls of the plugin rdma that are killed after each of their effects: what the next call makes of it. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Pod } from '../lab/lab.ts';
import { untilItEnds } from '../lab/steps.ts';
import { rdmaDevices } from './rdma.ts';
import { RdmaNode, rdmaOf } from './rdma-lab.ts';

const RDMA = rdmaOf(0);
const ALL = { devices: [RDMA], states: [] };
const OK = { exitCode: 0, stdout: '', stderr: '' };
const TIMEOUT_MS = 600_000;

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
const killed = (verb: string, last: number) => lab.killedAfter(last, { verb, pod });

describe('an ADD that is killed', () => {
  it(
    'leaves what DEL takes back, and the next pod gets the device',
    async () => {
      await untilItEnds(5, async (last) => {
        const outcome = await killed('ADD', last);
        expect(await lab.call({ verb: 'DEL', pod })).toMatchObject(OK);
        expect(await lab.picture()).toEqual(ALL);
        await lab.must({ verb: 'ADD', pod: next });
        expect(await rdmaDevices(next)).toEqual([RDMA]);
        await lab.must({ verb: 'DEL', pod: next });
        return outcome;
      });
    },
    TIMEOUT_MS,
  );

  it(
    'leaves what the next ADD completes',
    async () => {
      await untilItEnds(5, async (last) => {
        const outcome = await killed('ADD', last);
        expect(await lab.must({ verb: 'ADD', pod })).toMatchObject({ interfaces: [{ name: 'net1' }] });
        expect(await rdmaDevices(pod)).toEqual([RDMA]);
        await lab.must({ verb: 'DEL', pod });
        expect(await lab.picture()).toEqual(ALL);
        return outcome;
      });
    },
    TIMEOUT_MS,
  );

  it(
    'leaves nothing that outlives its pod: the next one gets the device, and a late DEL does not take it away',
    async () => {
      await untilItEnds(5, async (last) => {
        const outcome = await killed('ADD', last);
        await lab.end(pod);
        await lab.must({ verb: 'ADD', pod: next });
        expect(await lab.call({ verb: 'DEL', pod, netns: '' })).toMatchObject(OK);
        expect(await rdmaDevices(next)).toEqual([RDMA]);
        await lab.must({ verb: 'DEL', pod: next });
        expect(await lab.picture()).toEqual(ALL);
        pod = await lab.pod();
        return outcome;
      });
    },
    TIMEOUT_MS,
  );
});

describe('a DEL that is killed', () => {
  it(
    'leaves what the next DEL completes',
    async () => {
      await untilItEnds(3, async (last) => {
        await lab.must({ verb: 'ADD', pod });
        const outcome = await killed('DEL', last);
        expect(await lab.call({ verb: 'DEL', pod })).toMatchObject(OK);
        expect(await lab.picture()).toEqual(ALL);
        return outcome;
      });
    },
    TIMEOUT_MS,
  );
});
