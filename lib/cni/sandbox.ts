import { existsSync } from 'node:fs';
import * as z from 'zod/mini';
import type { Kind } from '../link/kind.ts';
import type { Netns } from '../netns/netns.ts';
import type { AttachmentCall } from './call.ts';
import { reservedFor } from './ipam.ts';
import { lookUp } from './json.ts';
import { markOf } from './mark.ts';
import { parseResult } from './result.ts';
import {
  GONE,
  type LinkSandbox,
  type Marked,
  openAt,
  openLiving,
  REPLACED,
  type Reopened,
  reopenByLink,
  type SandboxLink,
} from './sandbox-link.ts';
import type { Scope } from './scope.ts';

/**
 * Identifies a network namespace. A path proves nothing: a process ends and its number is recycled, a mount is lost, a
 * new pod reuses the name of an old one.
 */
export interface NetnsIdentity {
  /** boot id of the kernel */
  readonly boot: string;
  /** `<device>:<inode>`; recycled when a namespace is gone */
  readonly inode: string;
  /** never recycled until reboot; undefined before Linux 5.14 */
  readonly cookie?: number | undefined;
}

/** Its form in records. */
export const NetnsIdentityForm = z.object({ boot: z.string(), inode: z.string(), cookie: z.optional(z.number()) });

/** What is known about the namespace of an attachment. */
export interface Sandbox extends LinkSandbox {
  /** recorded at ADD; undefined when it was not */
  readonly identity?: NetnsIdentity | undefined;
}

/** The identity that ADD records. */
export function identityOf(scope: Scope, { identity, cookie }: Netns): NetnsIdentity {
  return { boot: scope.node.bootId, inode: identity, ...(cookie === undefined ? {} : { cookie }) };
}

/** Whether an open namespace is the recorded one. */
export const isNetnsOf = (scope: Scope, netns: Netns, identity: NetnsIdentity): boolean =>
  identity.boot === scope.node.bootId && isSame(netns, identity);

/** The sandbox of a call without a record: its interface comes from prevResult. */
export function sandboxOf(call: AttachmentCall<unknown>): Sandbox {
  const override = (call.env['CNI_NETNS_OVERRIDE'] ?? '').toLowerCase();
  return { path: call.netnsPath, link: linkOf(call), mayBeOwn: ['1', 'true'].includes(override) };
}

/**
 * The same for a call whose link was made for the pod, and marked.
 *
 * @param kind of the link
 */
export function sandboxOfMarked<A>(call: AttachmentCall<unknown>, scope: Scope, kind: Kind<A>): Sandbox {
  const { link, ...sandbox } = sandboxOf(call);
  const marked: Marked = {
    kind: kind.name,
    mark: markOf(call, scope.node.host),
    reserved: () => reservedFor(call, scope),
  };
  const isKnownByMac = !kind.sharesMac || (link?.addresses ?? []).length > 0;
  return { ...sandbox, link: link && { ...link, mac: isKnownByMac ? link.mac : undefined, marked } };
}

/**
 * The same for a call about a hardware device. Its name and hardware address are now in whatever pod has it, so they
 * identify the pod only together with the addresses assigned in this one.
 */
export function sandboxOfDevice(call: AttachmentCall<unknown>): Sandbox {
  const { link, ...sandbox } = sandboxOf(call);
  return (link?.addresses ?? []).length > 0 ? { ...sandbox, link } : sandbox;
}

/**
 * Opens the namespace of an attachment wherever it is now: at its path, else where a process or mount holds it.
 *
 * @throws CniError invalidNetns when it cannot be determined whether it lives
 */
export async function reopen(scope: Scope, sandbox: Sandbox): Promise<Reopened> {
  return sandbox.identity === undefined
    ? reopenByLink(scope, sandbox)
    : reopenByIdentity(scope, sandbox, sandbox.identity);
}

/** The same with both kinds of absence as undefined; the log says which. */
export const reopenIfHere = async (scope: Scope, sandbox: Sandbox): Promise<Netns | undefined> =>
  (await reopenLogged(scope, sandbox)).netns;

/** As `reopen`; the log says of what is not there why. */
export async function reopenLogged(scope: Scope, sandbox: Sandbox): Promise<Reopened> {
  const reopened = await reopen(scope, sandbox);
  const { state } = reopened;
  if (state === 'replaced') {
    scope.log(`the pod's network namespace is gone: "${sandbox.path}" is now another one`);
  } else if (state === 'gone' && sandbox.path !== undefined && existsSync(sandbox.path)) {
    scope.log(`the pod's network namespace is gone: nothing is mounted on "${sandbox.path}"`);
  }
  return reopened;
}

async function reopenByIdentity(scope: Scope, { path }: Sandbox, identity: NetnsIdentity): Promise<Reopened> {
  const there = openAt(scope, path);
  if (identity.boot === scope.node.bootId) {
    if (there !== undefined && isSame(there, identity)) {
      return { state: 'here', netns: there };
    }
    const found = findSame(scope, identity);
    if (found !== undefined) {
      there?.[Symbol.dispose]();
      return { state: 'here', netns: found };
    }
  }
  there?.[Symbol.dispose]();
  return there === undefined ? GONE : REPLACED;
}

const isSame = (netns: Netns, { inode, cookie }: NetnsIdentity): boolean =>
  netns.identity === inode && (cookie === undefined || netns.cookie === undefined || netns.cookie === cookie);

function findSame(scope: Scope, identity: NetnsIdentity): Netns | undefined {
  const name = `net:[${identity.inode.split(':')[1] ?? ''}]`;
  for (const { path } of scope.node.livingNetns().filter((living) => living.name === name)) {
    const netns = openLiving(scope, path);
    if (netns !== undefined && isSame(netns, identity)) {
      return netns;
    }
    netns?.[Symbol.dispose]();
  }
  return undefined;
}

/** The attachment's interface as far as prevResult describes it. */
function linkOf(call: AttachmentCall<unknown>): SandboxLink {
  const name = call.ifName;
  try {
    const { interfaces, ips } = parseResult(lookUp(call.document, 'prevResult'), call.version, 'prevResult');
    const index = interfaces.findLastIndex((one) => one.name === name && (one.sandbox ?? '') !== '');
    const addresses = ips.filter((ip) => ip.interface === index).map(({ address }) => address);
    return { name, mac: interfaces[index]?.mac?.toLowerCase(), addresses };
  } catch {
    return { name, mac: undefined }; // DEL reads no more than it needs
  }
}
