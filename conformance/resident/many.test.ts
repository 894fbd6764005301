/** An agent that has served for long is as large as one that has served for a while. */
import { expect, it } from 'vitest';
import { BASE_ENV, inParallel } from '../lab/execute.ts';
import { Lab } from '../lab/lab.ts';
import { OURS } from '../lab/programs.ts';
import { roundsOf } from '../lab/rounds.ts';
import { Agent } from './agent.ts';
import { network } from './networks.ts';
import { answerIn, exchange, requestOf } from './sockets.ts';

const VERBS = ['STATUS', 'ADD', 'CHECK', 'DEL'];
const PODS = 8;
/** Each half: so many rounds of all verbs for each pod. */
const ROUNDS = roundsOf(160, 640);
const CALLS = 2 * ROUNDS * PODS * VERBS.length;
/** The collector of V8 comes when it likes, and memory goes up and down by 30 MiB: what it leaves each time must be the same. */
const NOISE_MIB = 12;
/** Half of it are the executable's own pages. */
const MOST_MIB = 120;
/** Half as much again as it has on a machine of two processors. */
const MOST_OWN_MIB = 80;

it(`${CALLS} calls leave no descriptor behind, and no memory`, { timeout: 3_600_000 }, async () => {
  await using lab = await Lab.open();
  await using agent = await Agent.start(lab);
  const pods = await Promise.all(Array.from({ length: PODS }, () => lab.pod()));
  const call = async (verb: string, index: number, more: object): Promise<string> => {
    const env = {
      ...BASE_ENV,
      CNI_COMMAND: verb,
      CNI_CONTAINERID: `c${index}`,
      CNI_NETNS: pods[index]?.path ?? '',
      CNI_IFNAME: 'net1',
      CNI_PATH: OURS.path.join(':'),
    };
    const request = requestOf('macvlan', env, JSON.stringify({ ...network(lab), ...more }));
    const { exitCode, stdout } = answerIn(await exchange(agent.socket, request, false));
    expect(exitCode, `${verb}: ${stdout}`).toBe(0);
    return stdout;
  };
  /** @returns the least memory that it had in the second part of that */
  const serveHalf = async () => {
    const memory: (typeof agent.memory)[] = [];
    await inParallel(pods, PODS, async (_, index) => {
      for (let round = 0; round < ROUNDS; round++) {
        memory.push(agent.memory);
        let more: object = {};
        for (const verb of VERBS) {
          const printed = await call(verb, index, verb === 'STATUS' ? {} : more);
          more = verb === 'ADD' ? { prevResult: JSON.parse(printed) as unknown } : more;
        }
      }
    });
    const later = memory.slice(memory.length / 2);
    const least = (what: 'resident' | 'own'): number => Math.min(...later.map((one) => one[what]));
    return { resident: least('resident'), own: least('own') };
  };
  const memory = await serveHalf();
  const before = await agent.descriptors();
  const memoryLater = await serveHalf();
  const told = [memory, memoryLater].map(
    ({ resident, own }) => `${resident.toFixed(0)} MiB (${own.toFixed(0)} its own)`,
  );
  console.log(`${told[0]} after ${CALLS / 2} calls, ${told[1]} after ${CALLS}`);
  expect(memoryLater.own).toBeLessThan(memory.own + NOISE_MIB);
  expect(memoryLater.own).toBeLessThan(MOST_OWN_MIB);
  expect(memoryLater.resident).toBeLessThan(MOST_MIB);
  await agent.untilNoMore(before);
  expect((await agent.ask('/metrics')).text).toContain(
    `braid_calls_total{plugin="macvlan",verb="DEL",code="0"} ${CALLS / VERBS.length}\n`,
  );
});
