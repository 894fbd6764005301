import { type Scope, scopeWith } from '../cni/scope.ts';
import { collectAll, type Failures, removeLocks } from './collect.ts';
import { CRI_OPTION } from './cri.ts';
import { attachedIn, shortId } from './list.ts';
import type { Homes } from './located.ts';
import { NODE_OPTIONS, placesIn } from './node.ts';
import { readOptions } from './options.ts';
import { BIN_FOLDER, type Program } from './program.ts';
import { type Container, isDead, scanTwice, secondsIn, WAIT_OPTION } from './scan.ts';
import { count, table } from './table.ts';

type Print = (line: string) => void;

/** `braid gc`: DEL for every attachment of a dead container. */
export async function gc(program: Program, args: readonly string[], scope: Scope, print: Print): Promise<number> {
  const { values } = readOptions(args, {
    ...NODE_OPTIONS,
    ...CRI_OPTION,
    ...WAIT_OPTION,
    bin: { type: 'string', default: BIN_FOLDER },
    'dry-run': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  });
  const places = placesIn(values);
  const tell: Print = values.json ? () => undefined : print;
  const options = { places, cri: values.cri, waitMs: secondsIn('wait', values.wait) * 1000 };
  const { containers, node } = await scanTwice(scope, options, tell);
  const dead = containers.filter(isDead);
  const collecting = {
    scope: scopeWith(scope, () => ({ log: () => undefined })),
    env: program.env,
    places,
    path: values.bin.split(':'),
  };
  const failures = values['dry-run'] ? new Map() : await collectAll(collecting, dead);
  if (!values['dry-run']) {
    await removeLocks(scope, node.confs);
  }
  const outcome: Outcome = {
    collected: dead.filter(({ containerId }) => !failures.has(containerId)),
    left: [...containers.filter((one) => isLeft(node.homes, one)), ...dead.flatMap((one) => failed(one, failures))],
  };
  report(node.homes, outcome, values, print);
  const faults = [...node.faults, ...[...failures.values()].flat()];
  for (const fault of faults) {
    scope.log(fault);
  }
  return faults.length > 0 ? 1 : 0;
}

function failed(container: Container, failures: Failures): readonly Container[] {
  const messages = failures.get(container.containerId);
  return messages === undefined ? [] : [{ ...container, reason: messages.join('; ') }];
}

/** Containers that people may expect to be collected: not known to be alive, or gone according to `braid list`. */
const isLeft = (homes: Homes, { state, records }: Container): boolean =>
  state !== 'dead' && (state !== 'live' || attachedIn(homes, records).some(({ namespace }) => namespace === 'gone'));

interface Outcome {
  readonly collected: readonly Container[];
  readonly left: readonly Container[];
}

interface Mode {
  readonly json: boolean;
  readonly 'dry-run': boolean;
}

function report(homes: Homes, { collected, left }: Outcome, mode: Mode, print: Print): void {
  if (mode.json) {
    const brief = ({ containerId, reason, records }: Container) => ({
      containerId,
      reason,
      attachments: attachedIn(homes, records),
    });
    print(JSON.stringify({ collected: collected.map(brief), left: left.map(brief), dryRun: mode['dry-run'] }, null, 2));
    return;
  }
  const rows = collected.flatMap((container) => rowsOf(homes, container));
  if (rows.length > 0) {
    for (const line of table(['POD', 'CONTAINER', 'NETWORK', 'INTERFACE', 'ADDRESSES', 'DEVICE', 'REASON'], rows)) {
      print(line);
    }
    print('');
  }
  for (const container of left) {
    print(`left: ${nameOf(homes, container)}: ${container.reason}`);
  }
  const done = mode['dry-run'] ? 'would collect' : 'collected';
  const rest = left.length === 0 ? '' : `; left ${count(left.length, 'container')}`;
  print(`${done} ${count(rows.length, 'attachment')} of ${count(collected.length, 'container')}${rest}`);
}

const rowsOf = (homes: Homes, { records, reason }: Container): readonly (readonly string[])[] =>
  attachedIn(homes, records).map(({ pod, containerId, network, ifName, addresses, device }) => [
    pod,
    shortId(containerId),
    network,
    ifName,
    addresses.join(' '),
    device,
    reason,
  ]);

function nameOf(homes: Homes, { containerId, records }: Container): string {
  const pod = attachedIn(homes, records).find((one) => one.pod !== '')?.pod;
  return `container ${shortId(containerId)}${pod === undefined ? '' : ` of pod ${pod}`}`;
}
