import { delegateTimeoutMs, loaderIn } from '../cni/delegate.ts';
import { messageOf } from '../cni/errors.ts';
import { type JsonObject, textIn } from '../cni/json.ts';
import { delNetwork, type RuntimeConf } from '../cni/network.ts';
import { parseNetwork } from '../cni/network-list.ts';
import { listCached } from '../cni/result-cache.ts';
import { runPlugin } from '../cni/run.ts';
import type { Scope } from '../cni/scope.ts';
import { sandboxLock } from '../cni/serve.ts';
import type { Env } from '../sys/execute.ts';
import { removeStaleLocks } from '../sys/lock.ts';
import type { Home } from './located.ts';
import { type NodePlaces, type NodeRecord, readNode } from './node.ts';
import type { Container } from './scan.ts';

/** How dead containers are collected. */
export interface Collecting {
  readonly scope: Scope;
  /** for executed plugins */
  readonly env: Env;
  readonly places: NodePlaces;
  /** where plugins are */
  readonly path: readonly string[];
}

/** What could not be taken back, by container. */
export type Failures = ReadonlyMap<string, readonly string[]>;

/**
 * Outermost first: the runtime's attachments, then those of multus, which calls others, then what is still recorded.
 * Records are read anew each time, since an outer DEL removes inner ones. Calls for the same sandbox wait.
 *
 * @throws the reason of the scope's signal
 */
export async function collectAll(collecting: Collecting, dead: readonly Container[]): Promise<Failures> {
  const ids = new Set(dead.map(({ containerId }) => containerId));
  const failures = new Map<string, readonly string[]>();
  if (ids.size === 0) {
    return failures;
  }
  const { signal, node } = collecting.scope;
  const isOuter = ({ plugin }: NodeRecord): boolean => plugin === '';
  const hasList = ({ plugin, list }: NodeRecord): boolean => plugin !== '' && list !== undefined;
  const isInner = ({ plugin, list }: NodeRecord): boolean => plugin !== '' && list === undefined;
  for (const belongs of [isOuter, hasList, isInner]) {
    const { records, homes } = await readNode(collecting.scope, collecting.places);
    for (const record of records.filter((one) => ids.has(one.containerId) && belongs(one))) {
      try {
        using _ = await node.locks.acquire(sandboxLock(record.containerId), signal);
        await takeBack(collecting, record, homes.get(record.containerId));
      } catch (error) {
        signal.throwIfAborted();
        const { containerId, ifName, place } = record;
        const failure = `cannot delete "${ifName}" of container ${containerId}, recorded in "${place}": ${messageOf(error)}`;
        failures.set(containerId, [...(failures.get(containerId) ?? []), failure]);
      }
    }
  }
  return failures;
}

async function takeBack(collecting: Collecting, record: NodeRecord, home: Home | undefined): Promise<void> {
  const { scope, env, places, path } = collecting;
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
      env,
    };
    await delNetwork(scope, { ...parseNetwork(record.release), name: record.network }, runtime);
    return;
  }
  await runDel(collecting, record, record.release, netns);
}

/** DEL of one of our plugins, in this process. */
async function runDel({ scope, env: own, path }: Collecting, record: NodeRecord, conf: JsonObject, netns: string) {
  const plugin = await loaderIn(scope.suite.registry, textIn(conf, 'type'))?.();
  if (plugin === undefined) {
    throw new Error(`no plugin "${textIn(conf, 'type')}"`);
  }
  const env = {
    ...own,
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

/** Those of killed calls, which no later call may be about. */
export async function removeLocks(scope: Scope, confs: readonly JsonObject[]): Promise<void> {
  for (const load of Object.values(scope.suite.registry)) {
    for (const folder of (await load()).lockFolders?.(confs) ?? []) {
      removeStaleLocks(scope, folder);
    }
  }
}
