/**
 * `node lib/devices/testing/measure.ts [--cards 8] [--functions 64] [--rounds 5] [--peer FILE]`, as root and after a build:
 * how long the device plugins take with many functions, on a sysfs that is made up. `--peer` names Go's `sriovdp`, which
 * takes turns with ours. Asserts nothing.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { temporaryFolder } from '../../sys/testing/temporary.ts';
import { FakeKubelet } from './fake-kubelet.ts';
import { functionAt, makeManyFunctions, removeFunction } from './many-functions.ts';

const { values } = parseArgs({
  options: {
    cards: { type: 'string', default: '8' },
    functions: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '5' },
    peer: { type: 'string' },
  },
});
const [cards, functions, rounds] = [values.cards, values.functions, values.rounds].map(Number) as [
  number,
  number,
  number,
];

const BRAID = join(import.meta.dirname, '../../../dist/standalone/braid');
const ALLOCATIONS = 200;
const EVENTS = 10;
const LINK = 'braid-measure';

using folder = temporaryFolder();
const root = folder.path;
makeManyFunctions(root, { cards, functions });
const resources = Array.from({ length: cards }, (_, card) => `intel.com/card${card}`);
const resourceList = resources.map((_, card) => ({
  resourceName: `card${card}`,
  selectors: { pfNames: [`ens${card}`] },
}));
const config = join(root, 'config.json');
writeFileSync(config, JSON.stringify({ resourceList }));
await using kubelet = new FakeKubelet(join(root, 'kubelet'));
await kubelet.start();

type Side = 'ours' | 'peer';
const SIDES: readonly Side[] = values.peer === undefined ? ['ours'] : ['peer', 'ours'];
const starts = { ours: [] as number[], peer: [] as number[] };
const processor = { ours: [] as number[], peer: [] as number[] };
const allocations = { ours: [] as number[], peer: [] as number[] };
let program: ChildProcess | undefined;
for (let round = 0; round < rounds; round++) {
  for (const side of SIDES) {
    await end(program);
    const begun = performance.now();
    program = start(side);
    await until(() => resources.every((name) => kubelet.devices(name)?.length === functions));
    starts[side].push(performance.now() - begun);
    processor[side].push(cpuMsOf(program));
    allocations[side].push(...(await timesOf(ALLOCATIONS / rounds, allocateOne)));
  }
}
for (const side of SIDES) {
  print(`${side}: from start to all lists told, ms`, starts[side]);
  print(`${side}: processor time of that, ms`, processor[side]);
  print(`${side}: Allocate, ms`, allocations[side]);
}

const events: number[] = [];
for (let round = 0; round < Math.min(EVENTS, functions); round++) {
  const id = functionAt(0, round);
  removeFunction(root, id);
  execFileSync('ip', ['link', 'add', LINK, 'type', 'bridge']);
  const begun = performance.now();
  await until(() => kubelet.devices(resources[0] ?? '')?.some(({ ID, health }) => ID === id && health === 'Unhealthy'));
  events.push(performance.now() - begun);
  execFileSync('ip', ['link', 'delete', LINK]);
  await sleep(100);
}
print('from an event to the list, ms', events);
const [, memory] = /RssAnon:\s*(\d+)/.exec(readFileSync(`/proc/${program?.pid}/status`, 'utf8')) ?? [];
say(`memory of its own: ${Math.round(Number(memory) / 1024)} MB`);
await end(program);

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Go's plugin takes the kubelet for where it always is. */
function start(side: Side): ChildProcess {
  const places = [
    `mount --bind ${root}/sys /sys`,
    ...['mount -t tmpfs none /var/lib', 'mkdir /var/lib/kubelet', `mount --bind ${kubelet.root} /var/lib/kubelet`],
  ];
  const words = side === 'ours' ? `${BRAID} device-plugins` : `${values.peer}`;
  const script = [...places, `exec ${words} --config-file ${config}`].join(' && ');
  return spawn('unshare', ['--mount', 'sh', '-c', script], { stdio: 'ignore' });
}

async function allocateOne(round: number): Promise<void> {
  await kubelet.allocate(resources[0] ?? '', [functionAt(0, round % functions)]);
}

async function end(running: ChildProcess | undefined): Promise<void> {
  if (running !== undefined) {
    running.kill();
    await once(running, 'exit');
    for (const name of resources) {
      kubelet.drop(name);
    }
  }
}

async function until(look: () => unknown): Promise<void> {
  while (look() !== true) {
    await sleep(1);
  }
}

async function timesOf(count: number, work: (round: number) => Promise<void>): Promise<readonly number[]> {
  const times: number[] = [];
  for (let round = 0; round < count; round++) {
    const begun = performance.now();
    await work(round);
    times.push(performance.now() - begun);
  }
  return times;
}

/** The kernel counts in hundredths of a second. */
function cpuMsOf({ pid }: ChildProcess): number {
  const [, ...fields] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const [user, system] = (fields.at(-1) ?? '').split(' ').slice(11, 13).map(Number) as [number, number];
  return (user + system) * 10;
}

function print(what: string, times: readonly number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number): string => (sorted[Math.floor((sorted.length - 1) * part)] ?? Number.NaN).toFixed(1);
  say(`${what}: best ${at(0)}, median ${at(0.5)}, 90 % ${at(0.9)}, of ${times.length}`);
}
