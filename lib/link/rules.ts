import { bitsOf, type Ip, ipFromBytes, ipToBytes } from '../net/ip.ts';
import {
  askedRule,
  decodeRule,
  encodeRule,
  FR_ACT_TO_TBL,
  RTM_DELRULE,
  RTM_GETRULE,
  RTM_NEWRULE,
  selectsBySourceOnly,
} from '../netlink/codec/rule.ts';
import { AF_INET, AF_INET6, NLM_F_CREATE, NLM_F_EXCL } from '../netlink/constants.ts';
import type { Conversation, Request } from '../netlink/conversation.ts';
import { ruleText } from './told.ts';

/** Sends what comes from one address to a table. */
export interface SourceRule {
  readonly source: Ip;
  readonly table: number;
  /** who made it: a number beside RTPROT_…; not kept before Linux 4.17 */
  readonly protocol: number;
}

/** What the kernel says of a rule. */
export interface RuleFacts {
  /** the one address that it is about; undefined when it is about anything else, or more */
  readonly source: Ip | undefined;
  readonly table: number;
  readonly protocol: number;
  /** as told, to be deleted */
  readonly body: Buffer;
}

/** Every rule for IPv4 and IPv6. */
export async function listRules(netlink: Conversation): Promise<readonly RuleFacts[]> {
  const body = encodeRule({ family: 0, destinationPrefix: 0, sourcePrefix: 0, action: 0 }, {});
  const bodies = await netlink.dump({ type: RTM_GETRULE, body, operation: 'list rules' });
  return bodies.filter((one) => [AF_INET, AF_INET6].includes(decodeRule(one).family)).map(factsOf);
}

/**
 * The kernel puts it before all others but the first, which is about the namespace's own addresses. It refuses with EEXIST
 * when the very same is there.
 */
export const addingRule = (rule: SourceRule): Request => ({
  type: RTM_NEWRULE,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: encodeSourceRule(rule),
  operation: `add rule ${sourceRuleText(rule)}`,
  whenDone: 'EEXIST',
});

/** Deletes a rule that was added. */
export async function deleteSourceRule(netlink: Conversation, rule: SourceRule): Promise<void> {
  await netlink.change({
    type: RTM_DELRULE,
    body: encodeSourceRule(rule),
    operation: `delete rule ${sourceRuleText(rule)}`,
    whenDone: 'ENOENT',
  });
}

/** Deletes a rule that was told: ENOENT when it is gone. */
export const deletingRule = ({ body }: RuleFacts): Request => ({
  type: RTM_DELRULE,
  body: [askedRule(body)],
  operation: `delete rule ${ruleText(body)}`,
  whenDone: 'ENOENT',
});

const sourceRuleText = (rule: SourceRule): string => ruleText(Buffer.concat(encodeSourceRule(rule)));

function encodeSourceRule({ source, table, protocol }: SourceRule): Uint8Array[] {
  const family = source.family === 4 ? AF_INET : AF_INET6;
  const head = { family, destinationPrefix: 0, sourcePrefix: bitsOf(source.family), action: FR_ACT_TO_TBL };
  return encodeRule(head, { source: ipToBytes(source), tableId: table, protocol });
}

function factsOf(body: Buffer): RuleFacts {
  const { sourcePrefix, table, attributes } = decodeRule(body);
  const source = attributes.source === undefined ? undefined : ipFromBytes(attributes.source);
  const isOne = source !== undefined && sourcePrefix === bitsOf(source.family) && selectsBySourceOnly(body);
  return { source: isOne ? source : undefined, table, protocol: attributes.protocol ?? 0, body };
}
