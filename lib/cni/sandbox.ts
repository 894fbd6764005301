import { existsSync } from 'node:fs';
import * as z from 'zod/mini';
import { findLink, listAddresses } from '../link/observe.ts';
import { formatCidr } from '../net/cidr.ts';
import { type Netns, NetnsMissing, NotANetns } from '../netns/netns.ts';
import type { AttachmentCall } from './call.ts';
import { CniError } from './errors.ts';
import { lookUp } from './json.ts';
import { parseResult } from './result.ts';
import type { Scope } from './scope.ts';

/**
 * Names one network namespace among all that the machine ever has. A path proves nothing: the process behind it ends and
 * another gets its number, a mount is lost, a new pod gets the name of an old one.
 */
export interface NetnsIdentity {
  /** the kernel's run */
  readonly boot: string;
  /** `<device>:<inode>`; numbers are used again when a namespace is gone */
  readonly inode: string;
  /** never used again while the kernel runs; undefined before Linux 5.14 */
  readonly cookie?: number | undefined;
}

/** As records keep it. */
export const NetnsIdentityForm = z.object({ boot: z.string(), inode: z.string(), cookie: z.optional(z.number()) });

/** An interface, as far as it is known; pods are told apart by it. */
export interface SandboxLink {
  readonly name: string;
  readonly mac: string | undefined;
  /** with their prefix lengths */
  readonly addresses?: readonly string[];
}

/** What is known of the namespace that an attachment was made in. */
export interface Sandbox {
  /** where it was, or is said to be; undefined when nobody says */
  readonly path: string | undefined;
  /** recorded at ADD; undefined when it was not */
  readonly identity?: NetnsIdentity | undefined;
  /** the attachment's interface in it, by which it is known when no identity was recorded */
  readonly link?: SandboxLink | undefined;
  /** the caller insists on the node's own namespace (CNI_NETNS_OVERRIDE) */
  readonly mayBeOwn?: boolean;
}

/** `here`: open, to be disposed of; `gone`: it is no more; `replaced`: nor is it, and its path leads to something else. */
export type Reopened =
  | { readonly state: 'here'; readonly netns: Netns }
  | { readonly state: 'gone' | 'replaced'; readonly netns?: never };

const GONE: Reopened = { state: 'gone' };
const REPLACED: Reopened = { state: 'replaced' };

/** What ADD records of the namespace. */
export function identityOf(scope: Scope, { identity, cookie }: Netns): NetnsIdentity {
  return { boot: scope.node.bootId, inode: identity, ...(cookie === undefined ? {} : { cookie }) };
}

/** Is an open namespace the one that was recorded? */
export const isNetnsOf = (scope: Scope, netns: Netns, identity: NetnsIdentity): boolean =>
  identity.boot === scope.node.bootId && isSame(netns, identity);

/** The sandbox of a call that has no record: the interface is that of prevResult. */
export function sandboxOf(call: AttachmentCall<unknown>): Sandbox {
  const override = (call.env['CNI_NETNS_OVERRIDE'] ?? '').toLowerCase();
  return { path: call.netnsPath, link: linkOf(call), mayBeOwn: ['1', 'true'].includes(override) };
}

/**
 * The same for a call that is about a piece of hardware. Name and hardware address are then in whatever pod has it by now:
 * only with the addresses that it got in this one do they tell the pod.
 */
export function sandboxOfDevice(call: AttachmentCall<unknown>): Sandbox {
  const { link, ...sandbox } = sandboxOf(call);
  return (link?.addresses ?? []).length > 0 ? { ...sandbox, link } : sandbox;
}

/**
 * Opens the namespace that an attachment was made in, wherever it is by now: where its path leads, else where processes
 * or mounts keep it.
 *
 * @throws CniError invalidNetns when it cannot be told whether it lives
 */
export async function reopen(scope: Scope, sandbox: Sandbox): Promise<Reopened> {
  return sandbox.identity === undefined ? byLink(scope, sandbox) : byIdentity(scope, sandbox, sandbox.identity);
}

/** The same, where both kinds of absence are one; a line of the log says which. */
export async function reopenIfHere(scope: Scope, sandbox: Sandbox): Promise<Netns | undefined> {
  const { state, netns } = await reopen(scope, sandbox);
  if (state === 'replaced') {
    scope.log(`the pod's network namespace is gone: "${sandbox.path}" is another's now`);
  } else if (state === 'gone' && sandbox.path !== undefined && existsSync(sandbox.path)) {
    scope.log(`the pod's network namespace is gone: nothing is mounted on "${sandbox.path}"`);
  }
  return netns;
}

async function byIdentity(scope: Scope, { path }: Sandbox, identity: NetnsIdentity): Promise<Reopened> {
  const there = open(scope, path);
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
    const netns = open(scope, path);
    if (netns !== undefined && isSame(netns, identity)) {
      return netns;
    }
    netns?.[Symbol.dispose]();
  }
  return undefined;
}

/**
 * Without a recorded identity a path is believed, unless it goes through a process and the interface is not there: that
 * process may be another one by now; or unless another pod's interface is there. Only where no path leads to the pod is
 * the interface looked for elsewhere.
 */
async function byLink(scope: Scope, { path, link, mayBeOwn = false }: Sandbox): Promise<Reopened> {
  const there = open(scope, path);
  if (there !== undefined && (await isBelievable(scope, there, { path, link, mayBeOwn }))) {
    return { state: 'here', netns: there };
  }
  there?.[Symbol.dispose]();
  const elsewhere = link?.mac === undefined ? undefined : await findWithLink(scope, link);
  if (elsewhere !== undefined) {
    return { state: 'here', netns: elsewhere };
  }
  if (link !== undefined && link.mac === undefined && there === undefined) {
    await refuseUnproved(scope, path, link);
  }
  return there === undefined ? GONE : REPLACED;
}

async function isBelievable(scope: Scope, there: Netns, { path, link, mayBeOwn = false }: Sandbox): Promise<boolean> {
  if (there.isSameAs(scope.node.host)) {
    return mayBeOwn;
  }
  if (link?.mac === undefined) {
    return true;
  }
  return path?.startsWith('/proc/') ? hasLink(there, link) : !(await hasAnothersLink(there, link));
}

/** Programs of a pod may change its interface's hardware address, or its addresses; both are another pod's. */
async function hasAnothersLink({ netlink }: Netns, { name, mac, addresses = [] }: SandboxLink): Promise<boolean> {
  const link = addresses.length === 0 ? undefined : await findLink(netlink, name);
  if (link === undefined || link.mac === mac) {
    return false;
  }
  const found = await listAddresses(netlink, link.index);
  return !found.some((address) => addresses.includes(formatCidr(address)));
}

async function findWithLink(scope: Scope, link: SandboxLink): Promise<Netns | undefined> {
  for (const { path } of scope.node.livingNetns()) {
    const netns = open(scope, path);
    if (netns !== undefined && !netns.isSameAs(scope.node.host) && (await hasLink(netns, link))) {
      return netns;
    }
    netns?.[Symbol.dispose]();
  }
  return undefined;
}

/** Is there an interface of that name, with as much as is known of its hardware address and addresses? */
async function hasLink({ netlink }: Netns, { name, mac, addresses = [] }: SandboxLink): Promise<boolean> {
  try {
    const link = await findLink(netlink, name);
    if (link === undefined || (mac !== undefined && link.mac !== mac)) {
      return false;
    }
    const found = addresses.length === 0 ? [] : await listAddresses(netlink, link.index);
    return addresses.every((text) => found.some(({ ip, prefix }) => formatCidr({ ip, prefix }) === text));
  } catch {
    return false; // it ends while we look
  }
}

/** A file without a namespace is what a lost mount leaves: the pod may live on, and nothing tells which one it is. */
async function refuseUnproved(scope: Scope, path: string | undefined, link: SandboxLink): Promise<void> {
  if (path === undefined || !existsSync(path)) {
    return;
  }
  using netns = await findWithLink(scope, link);
  if (netns !== undefined) {
    throw new CniError(
      'invalidNetns',
      `cannot tell whether the pod of "${path}" lives: its mount is lost, there is no prevResult, and namespace ` +
        `"${netns.path}" has an interface "${link.name}"; end its processes, or call DEL with the namespace's path`,
    );
  }
}

/** @throws CniError invalidNetns when what is there cannot be looked at */
function open(scope: Scope, path: string | undefined): Netns | undefined {
  if (path === undefined || path === '') {
    return undefined;
  }
  try {
    return scope.node.openNetns(path);
  } catch (error) {
    if (error instanceof NetnsMissing || error instanceof NotANetns) {
      return undefined;
    }
    throw error;
  }
}

/** As much of the attachment's interface as prevResult tells. */
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
