import { messageOf } from '../cni/errors.ts';
import { hostWith } from '../cni/host.ts';
import type { JsonObject } from '../cni/json.ts';
import { delNetwork, type RuntimeConf } from '../cni/network.ts';
import { parseNetwork } from '../cni/network-list.ts';
import type { Host } from '../cni/plugin.ts';
import { listCached } from '../cni/result-cache.ts';
import { runPlugin } from '../cni/run.ts';
import { textIn } from './confs.ts';
import { CRI_OPTION } from './cri.ts';
import { isOver, type Judged, judgeSurely, WAIT_OPTION, waitMsIn } from './judged.ts';
import { attachedIn } from './list.ts';
import { NODE_OPTIONS, type NodePlaces, type NodeRecord, placesIn, readNode } from './node.ts';
import { readOptions } from './options.ts';
import { BIN_FOLDER, type Program } from './program.ts';
import { count, table } from './table.ts';

type Print = (line: string) => void;

interface Collecting {
  readonly host: Host;
  readonly program: Program;
  readonly places: NodePlaces;
  readonly path: readonly string[];
}

/** `braid gc`: DEL for what is recorded of containers that are not there any more. */
export async function gc(program: Program, args: readonly string[], host: Host, print: Print): Promise<number> {
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
  const question = { places, cri: values.cri, waitMs: waitMsIn(values.wait) };
  const { containers, node } = await judgeSurely(host, question, tell);
  const over = containers.filter(isOver);
  const collecting = { host: hostWith(host, { log: () => undefined }), program, places, path: values.bin.split(':') };
  const faults = [...node.faults, ...(values['dry-run'] ? [] : await collectAll(collecting, over))];
  report(host, { over, unknown: containers.filter(({ verdict }) => verdict === 'unknown') }, values, print);
  for (const fault of faults) {
    host.log(`braid: ${fault}`);
  }
  return faults.length > 0 ? 1 : 0;
}

/**
 * From the outside in: what the runtime called, then multus, which calls others, then what is still recorded. What an
 * outer DEL has taken back the inner ones find gone.
 */
async function collectAll(collecting: Collecting, over: readonly Judged[]): Promise<readonly string[]> {
  const ids = new Set(over.map(({ containerId }) => containerId));
  const faults: string[] = [];
  if (ids.size === 0) {
    return faults;
  }
  const isOuter = ({ plugin }: NodeRecord): boolean => plugin === '';
  const hasList = ({ plugin, list }: NodeRecord): boolean => plugin !== '' && list !== undefined;
  const isInner = ({ plugin, list }: NodeRecord): boolean => plugin !== '' && list === undefined;
  for (const belongs of [isOuter, hasList, isInner]) {
    const { records } = await readNode(collecting.host, collecting.places);
    for (const record of records.filter((one) => ids.has(one.containerId) && belongs(one))) {
      try {
        await takeBack(collecting, record);
      } catch (error) {
        faults.push(`cannot collect ${record.containerId} ${record.ifName} (${record.place}): ${messageOf(error)}`);
      }
    }
  }
  return faults;
}

async function takeBack(collecting: Collecting, record: NodeRecord): Promise<void> {
  const { host, program, places, path } = collecting;
  const netns = isThere(host, record) ? record.netns : '';
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
      cacheDir: places.cacheDir,
      path,
      env: program.env,
    };
    await delNetwork(host, { ...parseNetwork(record.release), name: record.network }, runtime);
    return;
  }
  await runDel(collecting, record, record.release, netns);
}

/** DEL of our own plugin, in this process. */
async function runDel({ host, program, path }: Collecting, record: NodeRecord, conf: JsonObject, netns: string) {
  const plugin = await host.registry[textIn(conf, 'type')]?.();
  if (plugin === undefined) {
    throw new Error(`there is no plugin "${textIn(conf, 'type')}"`);
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
    host,
  );
  if (exitCode !== 0) {
    throw new Error(textIn(JSON.parse(stdout) as JsonObject, 'msg'));
  }
}

function isThere(host: Host, { netns }: NodeRecord): boolean {
  try {
    using open = netns === '' ? undefined : host.openNetns(netns);
    return open !== undefined && !open.isSameAs(host.netns);
  } catch {
    return false;
  }
}

interface Found {
  readonly over: readonly Judged[];
  readonly unknown: readonly Judged[];
}

function report(
  host: Host,
  { over, unknown }: Found,
  { json, 'dry-run': isDry }: { readonly json: boolean; readonly 'dry-run': boolean },
  print: Print,
): void {
  const brief = ({ containerId, because, records }: Judged) => ({
    containerId,
    because,
    attachments: attachedIn(host, records),
  });
  if (json) {
    print(JSON.stringify({ collected: over.map(brief), unknown: unknown.map(brief), dryRun: isDry }, null, 2));
    return;
  }
  const rows = over.flatMap((container) =>
    attachedIn(host, container.records).map((one) => [
      one.pod,
      one.containerId.slice(0, 13),
      one.network,
      one.ifName,
      one.addresses.join(' '),
      one.device,
      container.because,
    ]),
  );
  if (rows.length > 0) {
    for (const line of table(['POD', 'CONTAINER', 'NETWORK', 'INTERFACE', 'ADDRESSES', 'DEVICE', 'BECAUSE'], rows)) {
      print(line);
    }
    print('');
  }
  for (const { containerId, because } of unknown) {
    print(`left: container ${containerId}: ${because}`);
  }
  print(
    `${isDry ? 'would collect' : 'collected'}: ${count(rows.length, 'attachment')} of ${count(over.length, 'container')}`,
  );
}
