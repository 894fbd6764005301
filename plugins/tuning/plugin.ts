import type { Attachment, DeletionCall, NetworkCall, PodCall } from '../../lib/cni/call.ts';
import { CniError, messageOf } from '../../lib/cni/errors.ts';
import { definePlugin, type Plugin } from '../../lib/cni/plugin.ts';
import { checkFailed } from '../../lib/cni/previous.ts';
import { refuseLongRecord } from '../../lib/cni/record-name.ts';
import { formatResult, type Result } from '../../lib/cni/result.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { hasSettings, settingsMissing, settingsOf, settingsText } from '../../lib/link/settings.ts';
import { ALLOW_LIST, type AllowList, readAllowList } from './allow-list.ts';
import { dataDirIn, dataDirOf, TuningConf } from './config.ts';
import { examine } from './examine.ts';
import { requirePrevious } from './previous.ts';
import { collect, putBackAt } from './put-back.ts';
import { nameOf, recordsIn } from './record.ts';
import { recorded } from './recorded.ts';
import { allowed, checkSysctls } from './sysctls.ts';
import { findOwn, tune } from './tune.ts';
import { type Wishes, wishesOf } from './wishes.ts';

export const tuning: Plugin = definePlugin<TuningConf>({
  name: 'tuning',
  about: 'tuning: sets sysctls and attributes of the interface that another plugin made',
  conf: TuningConf,
  add,
  del: (call, scope) => del(call, scope),
  check,
  status,
  gc,
  records: recorded,
  examine,
  validate: (call) => {
    requirePrevious(call);
    dataDirOf(call.conf);
    wishesOf(call);
  },
  foresee: async (call, scope) => void allowedWishes(call, scope),
});

async function add(call: PodCall<TuningConf>, scope: Scope): Promise<Result> {
  const previous = requirePrevious(call);
  formatResult(previous, call.version); // refuse one that cannot be printed before anything changes
  return tune(call, allowedWishes(call, scope), previous, scope);
}

/** @throws CniError as `wishesOf`, for a sysctl that is not allowed, and for a record whose name is too long */
function allowedWishes(call: PodCall<TuningConf>, scope: Scope): Wishes {
  const { settings, sysctls } = wishesOf(call);
  if (hasSettings(settings)) {
    refuseLongRecord({ containerId: call.containerId, ifName: nameOf({ containerId: '', ifName: call.ifName }) });
  }
  return { settings, sysctls: sysctls.length === 0 ? [] : allowed(sysctls, allowList(scope)) };
}

/** Networks of a pod that are attached together read it once. */
const allowList = (scope: Scope): AllowList => scope.node.glance(ALLOW_LIST, () => readAllowList());

/** Succeeds when there is nothing to put back. */
const del = (call: DeletionCall, scope: Scope): Promise<void> =>
  putBackAt(call, recordsIn(dataDirIn(call.document)), scope);

async function check(call: PodCall<TuningConf>, scope: Scope): Promise<void> {
  requirePrevious(call);
  const { settings, sysctls } = wishesOf(call);
  using netns = scope.node.openNetns(call.netnsPath);
  checkSysctls(netns, sysctls);
  const there = settingsOf(await findOwn(netns, call.ifName));
  const missing = settingsMissing(settings, there);
  if (hasSettings(missing)) {
    throw checkFailed(`link "${call.ifName}" does not have ${settingsText(missing)}`);
  }
}

/** ADD needs nothing of the node but an allow-list that can be read. */
async function status(call: NetworkCall<TuningConf>, scope: Scope): Promise<void> {
  dataDirOf(call.conf);
  try {
    allowList(scope);
  } catch (error) {
    throw new CniError('notAvailable', messageOf(error), { cause: error });
  }
}

async function gc(
  call: NetworkCall<TuningConf>,
  scope: Scope,
  valid: readonly Attachment[] | undefined,
): Promise<void> {
  if (valid !== undefined) {
    await collect(recordsIn(dataDirOf(call.conf)), call.network, valid, scope);
  }
}
