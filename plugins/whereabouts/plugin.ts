import type { Attachment, AttachmentCall, DeletionCall, NetworkCall, PodCall } from '../../lib/cni/call.ts';
import { CniError, messageOf, withPrefix } from '../../lib/cni/errors.ts';
import { lookUp } from '../../lib/cni/json.ts';
import { definePlugin, type Plugin } from '../../lib/cni/plugin.ts';
import { cidrOf, parseResult, type Result } from '../../lib/cni/result.ts';
import { type Scope, scopeWith } from '../../lib/cni/scope.ts';
import { type Cidr, contains, formatCidr } from '../../lib/net/cidr.ts';
import { formatIp, type Ip, sameIp } from '../../lib/net/ip.ts';
import { podsService } from './agent-service.ts';
import { commands } from './commands.ts';
import { WhereaboutsConf } from './config.ts';
import { controllerParts } from './controller-parts.ts';
import { type Datastore, openDatastore, type Reserved } from './datastore.ts';
import { examine } from './examine.ts';
import { MISNOMERS } from './host-local.ts';
import { type Log, type LogSettings, openLog } from './log.ts';
import { poolName } from './names.ts';
import type { StorePlace } from './place.ts';
import type { Held } from './pool.ts';
import { listRecords } from './recorded.ts';
import { readPlace, readSettings, type Settings } from './settings.ts';

export const whereabouts: Plugin = definePlugin<WhereaboutsConf>({
  name: 'whereabouts',
  about: 'whereabouts: gives out IP addresses and keeps record of them',
  conf: WhereaboutsConf,
  add,
  del,
  check,
  status,
  gc,
  records: listRecords,
  examine,
  validate: (call) => void readSettings(call),
  misnomers: MISNOMERS,
  commands,
  controllerParts,
  agentService: podsService,
});

async function add(call: PodCall<WhereaboutsConf>, scope: Scope): Promise<Result> {
  const settings = readSettings(call);
  const { result, durable } = await withStore(settings, scope, async (store, log) => {
    settings.warnings.forEach(log.warn);
    const { ips, durable } = await reserve(settings, store, log);
    log.step(`reserved [${ips.map(formatIp).join(' ')}] for ${ownerText(call, settings)}`);
    return { result: resultOf(settings, ips), durable: failuresIn(log, durable) };
  });
  await scope.owe(durable);
  return result;
}

async function del(call: DeletionCall, scope: Scope): Promise<void> {
  const settings = readPlace(call.document, call);
  await withStore(settings, scope, async (store, log) => {
    settings.warnings.forEach(log.warn);
    const freed = await store.release({ id: call.containerId, ifname: call.ifName }, settings.ranges);
    log.step(`freed ${heldText(freed)} of container ${call.containerId} ${call.ifName}`);
  });
}

async function check(call: PodCall<WhereaboutsConf>, scope: Scope): Promise<void> {
  const settings = readSettings(call);
  await withStore(settings, scope, async (store) => {
    const held = await store.find(settings.owner, settings.ranges);
    const previous = lookUp(call.document, 'prevResult') ?? undefined;
    const inUse = parseResult(previous, call.version, 'prevResult').ips.map((ip) => cidrOf(ip).ip);
    settings.ranges.forEach(({ cidr }, index) => {
      const [ip, where] = [held[index], placeText(settings.place, cidr)];
      if (ip === undefined) {
        throw checkFailure(call, `it holds no address in ${where}`);
      }
      if (previous !== undefined && !inUse.some((other) => sameIp(other, ip))) {
        throw checkFailure(call, `its address ${formatIp(ip)} in ${where} is not in prevResult`);
      }
    });
  });
}

async function status(call: NetworkCall<WhereaboutsConf>, scope: Scope): Promise<void> {
  const { ranges, protectOverlaps, ...settings } = readSettings(call);
  await withStore(settings, scope, async (store, log) => {
    try {
      await store.probe(ranges);
    } catch (error) {
      throw new CniError('notAvailable', messageOf(error), { cause: error });
    }
    try {
      (await store.fullness(ranges, protectOverlaps)).forEach(log.warn);
    } catch (error) {
      log.warn(messageOf(error));
    }
  });
}

async function gc(
  call: NetworkCall<WhereaboutsConf>,
  scope: Scope,
  valid: readonly Attachment[] | undefined,
): Promise<void> {
  if (valid === undefined) {
    return; // the runtime did not say what is valid, which is not "nothing is"
  }
  const { ranges, ...settings } = readSettings(call);
  await withStore(settings, scope, async (store, log) => {
    const attachments = valid.map(({ containerID, ifname }) => ({ id: containerID, ifname }));
    log.step(`collected ${heldText(await store.collect(call.network, ranges, attachments))}`);
  });
}

interface StoreSettings {
  readonly place: StorePlace;
  readonly log: LogSettings;
}

function withStore<T>(
  settings: StoreSettings,
  scope: Scope,
  work: (store: Datastore, log: Log) => Promise<T>,
): Promise<T> {
  const log = openLog(settings.log, scope.log);
  return failuresIn(log, work(openDatastore(settings.place, storeScope(scope, log)), log));
}

async function failuresIn<T>(log: Log, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    log.failure(messageOf(error));
    throw error;
  }
}

/** Troubles of the store that fail no call are told whatever the log level is. */
const storeScope = (scope: Scope, log: Log): Scope =>
  scopeWith(scope, (own) => ({
    log: (line) => {
      own.log(line);
      log.failure(line);
    },
  }));

/** Static addresses alone need no store. */
async function reserve(settings: Settings, store: Datastore, { warn }: Log): Promise<Reserved> {
  const { place, owner, ranges } = settings;
  if (ranges.length === 0) {
    return { ips: [], durable: Promise.resolve() };
  }
  if (place.kind === 'kubernetes' && owner.podref === '') {
    // Whoever cleans up in a cluster asks for the pod: without one, the address would be free for them.
    throw new CniError('badEnv', 'cannot reserve an address of the cluster: CNI_ARGS have no pod name (K8S_POD_NAME)');
  }
  const failed = (error: unknown): never => {
    throw withPrefix('error at storage engine', error);
  };
  const { ips, durable } = await store.reserve(settings, warn).catch(failed);
  return { ips, durable: durable.catch(failed) };
}

function resultOf(settings: Settings, dynamic: readonly Ip[]): Result {
  const { ranges, gateway, requested, requestedGateways, statics, routes, dns } = settings;
  const ips = ranges.flatMap(({ cidr }, index) => {
    const ip = dynamic[index];
    const isRequested = requested.some((one) => ip !== undefined && sameIp(one.ip, ip));
    const other = isRequested ? requestedGateways.findLast((one) => contains(cidr, one)) : undefined;
    const via = other ?? gateway;
    const own = via !== undefined && via.family === cidr.ip.family ? { gateway: formatIp(via) } : {};
    return ip === undefined ? [] : [{ address: formatCidr({ ip, prefix: cidr.prefix }), ...own }];
  });
  return { interfaces: [], ips: [...ips, ...statics], routes, dns };
}

const placeText = (place: StorePlace, cidr: Cidr): string =>
  'slices' in place ? `a slice of ${formatCidr(cidr)}` : `pool "${poolName(place.networkName, cidr)}"`;

const ownerText = (call: AttachmentCall<unknown>, { owner }: Settings): string =>
  owner.podref === '' ? `container ${call.containerId} ${call.ifName}` : `${owner.podref} ${call.ifName}`;

const heldText = (held: readonly Held[]): string => `[${held.map(({ ip }) => formatIp(ip)).join(' ')}]`;

const checkFailure = (call: AttachmentCall<unknown>, why: string): CniError =>
  new CniError('internal', `cannot find the reservation of container ${call.containerId} ${call.ifName}: ${why}`);
