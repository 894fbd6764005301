import type { DeletionCall } from '../../lib/cni/call.ts';
import { runAll } from '../../lib/cni/errors.ts';
import { lookUp } from '../../lib/cni/json.ts';
import { markOf } from '../../lib/cni/mark.ts';
import { parseResult } from '../../lib/cni/result.ts';
import { reopenLogged, type Sandbox, sandboxOf } from '../../lib/cni/sandbox.ts';
import { openAt, openLiving } from '../../lib/cni/sandbox-link.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { findLink, type LinkFacts, listAddresses, listAllAddresses, listLinks } from '../../lib/link/observe.ts';
import { tellRoutes } from '../../lib/link/route-tables.ts';
import { deleteRule, listRules, type RuleFacts } from '../../lib/link/rules.ts';
import type { Ip } from '../../lib/net/ip.ts';
import type { Conversation } from '../../lib/netlink/conversation.ts';
import { hasErrno } from '../../lib/netlink/errno.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { RULE_PROTOCOL } from './apply.ts';
import { tableIn } from './config.ts';
import { ownAddresses } from './own.ts';
import { orphans, rulesOf } from './plan.ts';

/**
 * DEL: deletes the rules of the attachment where its pod is, and those that links which are gone have left there. Routes
 * go with the link.
 *
 * @throws CniError with all failures
 */
export async function removeRules(call: DeletionCall, scope: Scope): Promise<void> {
  const sandbox = sandboxOfRules(call, scope);
  const { netns } = await reopenLogged(scope, sandbox);
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
  const link = await findOwn(netlink, call.ifName, sandbox);
  const addresses = [...previousAddresses(call), ...(link === undefined ? [] : await addressesOn(netlink, link.index))];
  const facts = { rules, routes: await tellRoutes(netlink) };
  const going = rulesOf({ addresses, linkIndex: link?.index, table: tableIn(call.document) }, facts);
  await deleteAll(netlink, going);
  await sweep(netns);
}

/** Deletes the rules that links have left behind. */
export async function sweep({ netlink }: Netns): Promise<void> {
  const rules = (await listRules(netlink)).filter(({ protocol }) => protocol === RULE_PROTOCOL);
  if (rules.length > 0) {
    const addresses = (await listAllAddresses(netlink)).map(({ ip }) => ip);
    await deleteAll(netlink, orphans({ rules, routes: await tellRoutes(netlink) }, addresses, RULE_PROTOCOL));
  }
}

/** The same in every namespace but the node's own. */
export async function sweepAll(scope: Scope): Promise<void> {
  await runAll(
    scope.node.livingNetns().map(({ path }) => async () => {
      using netns = openLiving(scope, path);
      if (netns !== undefined && !netns.isSameAs(scope.node.host)) {
        await sweep(netns);
      }
    }),
  );
}

const deleteAll = (netlink: Conversation, rules: readonly RuleFacts[]): Promise<void> =>
  runAll(rules.map((rule) => () => deleteUnlessGone(netlink, rule)));

async function deleteUnlessGone(netlink: Conversation, rule: RuleFacts): Promise<void> {
  try {
    await deleteRule(netlink, rule);
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) {
      throw error; // not that another call has deleted it
    }
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
function previousAddresses(call: DeletionCall): readonly Ip[] {
  try {
    const previous = parseResult(lookUp(call.document, 'prevResult'), call.version, 'prevResult');
    return ownAddresses(previous, call.ifName).map(({ address }) => address.ip);
  } catch {
    return [];
  }
}

async function addressesOn(netlink: Conversation, index: number): Promise<readonly Ip[]> {
  try {
    return (await listAddresses(netlink, index)).map(({ ip }) => ip);
  } catch (error) {
    if (hasErrno(error, 'ENODEV')) {
      return []; // it has gone since
    }
    throw error;
  }
}
