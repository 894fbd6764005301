import type { DeletionCall } from '../../lib/cni/call.ts';
import { combineErrors, messageOf } from '../../lib/cni/errors.ts';
import { lookUp } from '../../lib/cni/json.ts';
import { markOf } from '../../lib/cni/mark.ts';
import { parseResult } from '../../lib/cni/result.ts';
import { reopenLogged, type Sandbox, sandboxOf } from '../../lib/cni/sandbox.ts';
import { openAt, openLiving } from '../../lib/cni/sandbox-link.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { findLink, type LinkFacts, listAddresses, listAllAddresses, listLinks } from '../../lib/link/observe.ts';
import { tellRoutes } from '../../lib/link/route-tables.ts';
import { deletingRule, listRules, type RuleFacts } from '../../lib/link/rules.ts';
import type { Ip } from '../../lib/net/ip.ts';
import type { Conversation } from '../../lib/netlink/conversation.ts';
import { hasErrno } from '../../lib/netlink/errno.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { RULE_PROTOCOL } from './apply.ts';
import { tableIn } from './config.ts';
import { ownAddresses } from './own.ts';
import { orphans, rulesOf, type Told } from './plan.ts';

/**
 * DEL: deletes the rules of the attachment where its pod is, and those that links which are gone have left there. Routes
 * go with the link.
 *
 * @throws CniError with all failures
 */
export async function removeRules(call: DeletionCall, scope: Scope): Promise<void> {
  const sandbox = sandboxOfRules(call, scope);
  const { netns, link } = await reopenLogged(scope, sandbox);
  if (netns === undefined) {
    using there = openAt(scope, call.netnsPath);
    if (there !== undefined && !there.isSameAs(scope.node.host)) {
      await sweep(there); // whoever is there now: what is left over is nobody's
    }
    return;
  }
  using _open = netns;
  const { netlink } = netns;
  const rules = await listRules(netlink);
  if (rules.every(({ source }) => source === undefined)) {
    return;
  }
  const facts = { rules, routes: await tellRoutes(netlink) };
  const own = link ?? (await findOwn(netlink, call.ifName, sandbox));
  const going = rulesOf(
    {
      addresses: await addressesOf(call, netlink, own),
      linkIndex: own?.index,
      table: tableIn(call.document),
    },
    facts,
  );
  await deleteAll(netlink, going);
  await deleteOrphans(netlink, { ...facts, rules: rules.filter((rule) => !going.includes(rule)) });
}

/** Deletes the rules that links have left behind. */
export async function sweep({ netlink }: Netns): Promise<void> {
  const rules = await listRules(netlink);
  if (rules.some(({ protocol }) => protocol === RULE_PROTOCOL)) {
    await deleteOrphans(netlink, { rules, routes: await tellRoutes(netlink) });
  }
}

/** Addresses are asked for when there is a rule that leads nowhere: mostly there is none. */
async function deleteOrphans(netlink: Conversation, facts: Told): Promise<void> {
  if (orphans(facts, [], RULE_PROTOCOL).length > 0) {
    const addresses = (await listAllAddresses(netlink)).map(({ ip }) => ip);
    await deleteAll(netlink, orphans(facts, addresses, RULE_PROTOCOL));
  }
}

/** The same in every namespace but the node's own. One that cannot be looked at is no reason to leave the others. */
export async function sweepAll(scope: Scope): Promise<void> {
  for (const { path } of scope.node.livingNetns()) {
    try {
      using netns = openLiving(scope, path);
      if (netns !== undefined && !netns.isSameAs(scope.node.host)) {
        await sweep(netns);
      }
    } catch (error) {
      scope.log(`cannot look for rules that are left over in "${path}": ${messageOf(error)}`);
    }
  }
}

/** Not that another call has deleted one is a failure. */
async function deleteAll(netlink: Conversation, rules: readonly RuleFacts[]): Promise<void> {
  const refusals = await netlink.changeAll(rules.map(deletingRule));
  const failure = combineErrors(refusals.filter((one) => one !== undefined && !hasErrno(one, 'ENOENT')));
  if (failure !== undefined) {
    throw failure;
  }
}

/** Whoever made the link: its mark says whose it is, if it has one. */
function sandboxOfRules(call: DeletionCall, scope: Scope): Sandbox {
  const { link, ...sandbox } = sandboxOf(call);
  const marked = { kind: '', mark: markOf(call, scope.node.host), reserved: async () => [] };
  return { ...sandbox, link: link && { ...link, marked } };
}

/** Programs of the pod may have renamed it. */
async function findOwn(netlink: Conversation, name: string, { link }: Sandbox): Promise<LinkFacts | undefined> {
  const named = await findLink(netlink, name);
  return (
    named ??
    (await listLinks(netlink)).find(
      ({ alias, mac }) => alias === link?.marked?.mark || (link?.mac !== undefined && mac === link.mac),
    )
  );
}

/** DEL reads no more than it needs: without a result, or with one that cannot be read, the link tells its addresses. */
async function addressesOf(
  call: DeletionCall,
  netlink: Conversation,
  link: LinkFacts | undefined,
): Promise<readonly Ip[]> {
  const previous = previousAddresses(call);
  if (previous.length > 0 || link === undefined) {
    return previous;
  }
  try {
    return (await listAddresses(netlink, link.index)).map(({ ip }) => ip);
  } catch (error) {
    if (hasErrno(error, 'ENODEV')) {
      return []; // it has gone since
    }
    throw error;
  }
}

function previousAddresses(call: DeletionCall): readonly Ip[] {
  try {
    const previous = parseResult(lookUp(call.document, 'prevResult'), call.version, 'prevResult');
    return ownAddresses(previous, call.ifName).map(({ address }) => address.ip);
  } catch {
    return [];
  }
}
