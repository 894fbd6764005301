import { delegateTimeoutMs, loaderIn } from '../cni/delegate.ts';
import { messageOf } from '../cni/errors.ts';
import { type JsonObject, textIn } from '../cni/json.ts';
import { delNetwork, type RuntimeConf } from '../cni/network.ts';
import { parseNetwork } from '../cni/network-list.ts';
import { listCached } from '../cni/result-cache.ts';
import { runPlugin } from '../cni/run.ts';
import { type Scope, scopeWith } from '../cni/scope.ts';
import { removeStaleLocks } from '../sys/lock.ts';
import { CRI_OPTION } from './cri.ts';
import { attachedIn, shortId } from './list.ts';
import type { Home, Homes } from './located.ts';
import { NODE_OPTIONS, type NodePlaces, type NodeRecord, placesIn, readNode } from './node.ts';
import { readOptions } from './options.ts';
import { BIN_FOLDER, type Program } from './program.ts';
import { type Container, isDead, scanTwice, WAIT_OPTION, waitMsIn } from './scan.ts';
import { count, table } from './table.ts';

type Print = (line: string) => void;

interface Collecting {
  readonly scope: Scope;
  readonly program: Program;
  readonly places: NodePlaces;
  readonly path: readonly string[];
}

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
  const options = { places, cri: values.cri, waitMs: waitMsIn(values.wait) };
  const { containers, node } = await scanTwice(scope, options, tell);
  const dead = containers.filter(isDead);
  const collecting = {
    scope: scopeWith(scope, () => ({ log: () => undefined })),
    program,
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

/** Those of killed calls, which no later call may be about. */
async function removeLocks(scope: Scope, confs: readonly JsonObject[]): Promise<void> {
  for (const load of Object.values(scope.suite.registry)) {
    for (const folder of (await load()).lockFolders?.(confs) ?? []) {
      removeStaleLocks(scope, folder);
    }
  }
}

/** What could not be taken back, by container. */
type Failures = ReadonlyMap<string, readonly string[]>;

function failed(container: Container, failures: Failures): readonly Container[] {
  const messages = failures.get(container.containerId);
  return messages === undefined ? [] : [{ ...container, reason: messages.join('; ') }];
}

/** Containers that people may expect to be collected: not known to be alive, or gone according to `braid list`. */
const isLeft = (homes: Homes, { state, records }: Container): boolean =>
  state !== 'dead' && (state !== 'live' || attachedIn(homes, records).some(({ namespace }) => namespace === 'gone'));

/**
 * Outermost first: the runtime's attachments, then those of multus, which calls others, then what is still recorded.
 * Records are read anew each time, since an outer DEL removes inner ones.
 */
async function collectAll(collecting: Collecting, dead: readonly Container[]): Promise<Failures> {
  const ids = new Set(dead.map(({ containerId }) => containerId));
  const failures = new Map<string, readonly string[]>();
  if (ids.size === 0) {
    return failures;
  }
  const isOuter = ({ plugin }: NodeRecord): boolean => plugin === '';
  const hasList = ({ plugin, list }: NodeRecord): boolean => plugin !== '' && list !== undefined;
  const isInner = ({ plugin, list }: NodeRecord): boolean => plugin !== '' && list === undefined;
  for (const belongs of [isOuter, hasList, isInner]) {
    const { records, homes } = await readNode(collecting.scope, collecting.places);
    for (const record of records.filter((one) => ids.has(one.containerId) && belongs(one))) {
      try {
        await takeBack(collecting, record, homes.get(record.containerId));
      } catch (error) {
        const { containerId, ifName, place } = record;
        const failure = `cannot delete "${ifName}" of container ${containerId}, recorded in "${place}": ${messageOf(error)}`;
        failures.set(containerId, [...(failures.get(containerId) ?? []), failure]);
      }
    }
  }
  return failures;
}

async function takeBack(collecting: Collecting, record: NodeRecord, home: Home | undefined): Promise<void> {
  const { scope, program, places, path } = collecting;
  const netns = home?.identity === undefined ? '' : home.path;
  if (record.plugin === '') {
    const known = listCached(places.cacheDir, record.containerId).attachments.find(
      ({ network, ifName }) => network === record.network && ifName === record.ifName,
    );
    const runtime: RuntimeConf = {
      containerId: record.containerId,
      ifName: record.ifName,
      netns,
      args: known?.args ?? [],
      capabilityArgs: known?.capabilityArgs ?? {},
      timeoutMs: delegateTimeoutMs({}),
      cacheDir: places.cacheDir,
      path,
      env: program.env,
    };
    await delNetwork(scope, { ...parseNetwork(record.release), name: record.network }, runtime);
    return;
  }
  await runDel(collecting, record, record.release, netns);
}

/** DEL of one of our plugins, in this process. */
async function runDel({ scope, program, path }: Collecting, record: NodeRecord, conf: JsonObject, netns: string) {
  const plugin = await loaderIn(scope.suite.registry, textIn(conf, 'type'))?.();
  if (plugin === undefined) {
    throw new Error(`no plugin "${textIn(conf, 'type')}"`);
  }
  const env = {
    ...program.env,
    CNI_COMMAND: 'DEL',
    CNI_CONTAINERID: record.containerId,
    CNI_IFNAME: record.ifName,
    CNI_NETNS: netns,
    CNI_ARGS: '',
    CNI_PATH: path.join(':'),
  };
  const { stdout, exitCode } = await runPlugin(
    plugin,
    { env, readStdin: () => Buffer.from(JSON.stringify(conf)) },
    scope,
  );
  if (exitCode !== 0) {
    throw new Error(textIn(JSON.parse(stdout) as JsonObject, 'msg'));
  }
}

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
