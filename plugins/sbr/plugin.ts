import type { AttachmentCall, NetworkCall, PodCall } from '../../lib/cni/call.ts';
import { CniError, messageOf } from '../../lib/cni/errors.ts';
import { lookUp } from '../../lib/cni/json.ts';
import { definePlugin, type Plugin } from '../../lib/cni/plugin.ts';
import { checkFailed, previousResult } from '../../lib/cni/previous.ts';
import { formatResult, type Result } from '../../lib/cni/result.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { Undo } from '../../lib/cni/undo.ts';
import type { LinkFacts } from '../../lib/link/observe.ts';
import { routeFacts, tellRoutes } from '../../lib/link/route-tables.ts';
import { listRules } from '../../lib/link/rules.ts';
import { formatIp } from '../../lib/net/ip.ts';
import { lockNetns } from '../../lib/netns/lock.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { applyPlan } from './apply.ts';
import { SbrConf, tableOf } from './config.ts';
import { examine } from './examine.ts';
import { type OwnAddress, ownAddresses } from './own.ts';
import { missing, planRules, planTables, type Told } from './plan.ts';
import { removeRules, sweepAll } from './remove.ts';

export const sbr: Plugin = definePlugin<SbrConf>({
  name: 'sbr',
  about: 'sbr: routes what leaves a pod by its source address, through the interface that has it',
  conf: SbrConf,
  add,
  del: removeRules,
  check,
  status,
  // the runtime has called DEL for each attachment that is not valid: only what no DEL could find is left over
  gc: async (_, scope, valid) => (valid === undefined ? undefined : sweepAll(scope)),
  examine,
  validate: (call) => void requirePrevious(call),
});

async function add(call: PodCall<SbrConf>, scope: Scope): Promise<Result> {
  const previous = requirePrevious(call);
  formatResult(previous, call.version); // refuse one that cannot be printed before anything changes
  const own = requireAddresses(previous, call);
  const table = tableOf(call.conf);
  using netns = scope.node.openNetns(call.netnsPath);
  const link = await requireLink(scope, netns, call);
  // The kernel keeps no table for anybody: between a look and the first rule nobody else may choose.
  using _lock = await lockNetns(scope, netns);
  await using undo = new Undo(scope);
  const plan =
    table === undefined
      ? planTables(own, link.index, { ...(await tell(netns)), factsOf: routeFacts })
      : planRules(own, table);
  await applyPlan(plan, netns, link, undo);
  undo.commit();
  return previous;
}

async function check(call: PodCall<SbrConf>, scope: Scope): Promise<void> {
  const own = ownAddresses(requirePrevious(call), call.ifName);
  using netns = scope.node.openNetns(call.netnsPath);
  const fault = missing(own, tableOf(call.conf), await tell(netns));
  if (fault !== undefined) {
    const { address, gateway } = fault.address;
    throw checkFailed(
      fault.what === 'rule'
        ? `there is no rule for packets from ${formatIp(address.ip)}${call.conf.table ? ` to table ${call.conf.table}` : ''}`
        : `the table for packets from ${formatIp(address.ip)} has no default route${gateway ? ` via ${formatIp(gateway)}` : ''}`,
    );
  }
}

async function status(_: NetworkCall<SbrConf>, scope: Scope): Promise<void> {
  try {
    await listRules(scope.node.host.netlink);
  } catch (error) {
    throw new CniError('notAvailable', `this kernel has no routing by rules: ${messageOf(error)}`, { cause: error });
  }
}

const tell = async ({ netlink }: Netns): Promise<Told> => ({
  rules: await listRules(netlink),
  routes: await tellRoutes(netlink),
});

/** @throws CniError invalidNetworkConfig when there is none; internal when its version is not the configuration's */
function requirePrevious(call: AttachmentCall<unknown>): Result {
  if ((lookUp(call.document, 'prevResult') ?? null) === null) {
    throw new CniError(
      'invalidNetworkConfig',
      'cannot run sbr on its own: "prevResult" is missing: put it into a plugin list, after the plugin that makes the interface',
    );
  }
  return previousResult(call);
}

/** @throws CniError invalidNetworkConfig when there is none: nothing could be routed by it */
function requireAddresses(previous: Result, { ifName }: AttachmentCall<unknown>): readonly OwnAddress[] {
  const own = ownAddresses(previous, ifName);
  if (own.length === 0) {
    const others = previous.ips.map(({ address }) => address).join(', ');
    throw new CniError(
      'invalidNetworkConfig',
      `cannot route by the addresses of "${ifName}": "prevResult" has none${others === '' ? '' : `, only ${others} of other interfaces`}`,
    );
  }
  return own;
}

async function requireLink(scope: Scope, netns: Netns, { ifName }: AttachmentCall<unknown>): Promise<LinkFacts> {
  const link = await scope.findLink(netns, ifName);
  if (link === undefined) {
    throw new CniError('internal', `cannot find interface "${ifName}" in the container`);
  }
  return link;
}
