/** `./scripts/try`: a node and two pods as network namespaces, three networks in each pod; or a real cluster. */
import type { PluginAnswer } from './lab/call.ts';
import { Failure } from './lab/failure.ts';
import { isStanding, leftovers, makeLab, NETWORKS, NODE, PODS, type Pod, podNetns, removeLab } from './lab/lab.ts';
import { type Attachment, addressesStillTaken, attachmentsOf, callMultus, pingAll } from './lab/pods.ts';
import { bad, bold, dim, good, table } from './lab/terminal.ts';
import { howToLookAround } from './lab/texts.ts';

interface Started {
  readonly pod: Pod;
  readonly added: PluginAnswer;
  readonly attachments: readonly Attachment[];
}

function tryOut(keep: boolean): void {
  if (isStanding()) {
    throw new Failure('a lab is already running: take it down with ./scripts/try --down');
  }
  const begin = performance.now();
  try {
    console.log(
      bold(`\nA node and two pods with ${NETWORKS.length} networks each, as network namespaces of this machine\n`),
    );
    makeLab();
    step('lab', `node ${NODE} with ${NETWORKS.map(({ parent }) => parent).join(', ')}`);
    step('', `pods ${PODS.map(podNetns).join(', ')}`);
    const started = startPods();
    pingPods(started);
    stopOrKeep(started, keep);
  } finally {
    if (keep) {
      console.log(`\n${howToLookAround()}`);
    } else {
      removeLab();
    }
  }
  if (!keep) {
    console.log(`\nDone in ${((performance.now() - begin) / 1000).toFixed(1)} s. To look around, add --keep.`);
  }
}

function startPods(): readonly Started[] {
  const started = PODS.map((pod) => ({ pod, added: callMultus('ADD', pod), attachments: attachmentsOf(pod) }));
  step('ADD', `one call of multus for each pod ${timesOf(started.map(({ added }) => added))}\n`);
  const header = ['pod', 'network', 'interface', 'address', 'gateway', 'MAC', 'milliseconds'];
  // The time of the whole call: program start, three interfaces, three addresses.
  const rows = started.flatMap(({ added, attachments }) =>
    attachments.map(({ pod, network, address, mac }, index) => {
      const took = index === 0 ? added.ms.toFixed(1) : '"';
      return [pod, network.name, network.ifName, address, network.gateway, mac, took];
    }),
  );
  console.log(`${table(header, rows, { milliseconds: 'right' })}\n`);
  return started;
}

function pingPods(started: readonly Started[]): void {
  const pings = pingAll(started.flatMap(({ attachments }) => attachments));
  step('ping', 'each pod reaches the other over each network\n');
  const rows = pings.map(({ from, to, rttMs }) => [from.pod, to.pod, from.network.name, to.address, rttMs]);
  console.log(`${table(['from', 'to', 'over', 'address', 'milliseconds'], rows, { milliseconds: 'right' })}\n`);
}

function stopOrKeep(started: readonly Started[], keep: boolean): void {
  const checks = started.map(({ pod, added }) => callMultus('CHECK', pod, added.result));
  step('CHECK', `every interface is as ADD left it ${timesOf(checks)}`);
  if (keep) {
    return;
  }
  const dels = started.map(({ pod, added }) => callMultus('DEL', pod, added.result));
  step('DEL', `one call of multus for each pod ${timesOf(dels)}`);
  const left = [...leftovers(), ...addressesStillTaken(started.flatMap(({ attachments }) => attachments))];
  if (left.length > 0) {
    throw new Failure(`DEL left something behind:\n${left.map((line) => `  ${line}`).join('\n')}`);
  }
  step('', 'nothing left behind: no interfaces in the pods, no records, all addresses free again');
}

function step(name: string, text: string): void {
  console.log(`${name === '' ? ' ' : good('✓')} ${bold(name.padEnd(6))} ${text}`);
}

const timesOf = (answers: readonly PluginAnswer[]): string =>
  dim(`(${answers.map(({ ms }) => `${ms.toFixed(1)} ms`).join(', ')})`);

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--kubernetes')) {
    const { tryKubernetes } = await import('./lab/kubernetes.ts'); // which needs programs that the other does not
    await tryKubernetes();
  } else if (args.includes('--down')) {
    console.log(removeLab() ? 'lab taken down' : 'there is no lab');
  } else {
    tryOut(args.includes('--keep'));
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Without a listener the program would exit at once and leave the lab.
  process.on(signal, () => undefined);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`${bad('✗')} ${error instanceof Failure ? error.message : String(error)}`);
  process.exitCode = 1;
}
