/** Calls of the plugin rdma that are killed before each of their effects: what the next call makes of it. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Pod } from '../lab.ts';
import { rdmaDevices } from './rdma.ts';
import { compileKill, RdmaNode, rdmaOf } from './rdma-lab.ts';

const RDMA = rdmaOf(0);
const ALL = { devices: [RDMA], states: [] };
const OK = { exitCode: 0, stdout: '', stderr: '' };
const TIMEOUT_MS = 600_000;

let lab: RdmaNode;
let pod: Pod;
let next: Pod;

beforeAll(async () => {
  await compileKill();
  lab = await RdmaNode.open(1);
});
afterAll(() => lab[Symbol.asyncDispose]());
beforeEach(async () => {
  [pod, next] = [await lab.pod(), await lab.pod()];
});

/**
 * Kills a call before its first effect, before its second, and so on, until there is none left.
 *
 * @returns how many there are
 */
async function killBeforeEach(
  verb: string,
  begin: () => Promise<unknown>,
  follow: () => Promise<void>,
): Promise<number> {
  for (let number = 1; ; number++) {
    await begin();
    const { signal, exitCode } = await lab.call({ verb, pod, killBefore: number });
    expect([signal, exitCode]).toContain(signal === undefined ? 0 : 'SIGKILL');
    await follow();
    if (signal === undefined) {
      return number - 1;
    }
  }
}

const nothing = async (): Promise<void> => undefined;

describe('an ADD that is killed', () => {
  it(
    'leaves what DEL takes back, and the next pod gets the device',
    async () => {
      const effects = await killBeforeEach('ADD', nothing, async () => {
        expect(await lab.call({ verb: 'DEL', pod })).toMatchObject(OK);
        expect(await lab.picture()).toEqual(ALL);
        await lab.must({ verb: 'ADD', pod: next });
        expect(await rdmaDevices(next)).toEqual([RDMA]);
        await lab.must({ verb: 'DEL', pod: next });
      });
      expect(effects).toBeGreaterThan(8);
    },
    TIMEOUT_MS,
  );

  it(
    'leaves what the next ADD completes',
    async () => {
      await killBeforeEach('ADD', nothing, async () => {
        expect(await lab.must({ verb: 'ADD', pod })).toMatchObject({ interfaces: [{ name: 'net1' }] });
        expect(await rdmaDevices(pod)).toEqual([RDMA]);
        await lab.must({ verb: 'DEL', pod });
        expect(await lab.picture()).toEqual(ALL);
      });
    },
    TIMEOUT_MS,
  );

  it(
    'leaves nothing that outlives its pod: the next one gets the device, and a late DEL does not take it away',
    async () => {
      await killBeforeEach('ADD', nothing, async () => {
        await lab.end(pod);
        await lab.must({ verb: 'ADD', pod: next });
        expect(await lab.call({ verb: 'DEL', pod, netns: '' })).toMatchObject(OK);
        expect(await rdmaDevices(next)).toEqual([RDMA]);
        await lab.must({ verb: 'DEL', pod: next });
        expect(await lab.picture()).toEqual(ALL);
        pod = await lab.pod();
      });
    },
    TIMEOUT_MS,
  );
});

describe('a DEL that is killed', () => {
  it(
    'leaves what the next DEL completes',
    async () => {
      const add = () => lab.must({ verb: 'ADD', pod });
      const effects = await killBeforeEach('DEL', add, async () => {
        expect(await lab.call({ verb: 'DEL', pod })).toMatchObject(OK);
        expect(await lab.picture()).toEqual(ALL);
      });
      expect(effects).toBeGreaterThan(3);
    },
    TIMEOUT_MS,
  );
});
