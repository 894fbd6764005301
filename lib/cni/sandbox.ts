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

/** What is known of an interface that identifies a pod. */
export interface SandboxLink {
  readonly name: string;
  readonly mac: string | undefined;
  /** with their prefix lengths */
  readonly addresses?: readonly string[];
}

/** What is known about the namespace of an attachment. */
export interface Sandbox {
  /** recorded or given; undefined when neither */
  readonly path: string | undefined;
  /** recorded by ADD; undefined when not recorded */
  readonly identity?: NetnsIdentity | undefined;
  /** the attachment's interface, which identifies it when no identity was recorded */
  readonly link?: SandboxLink | undefined;
  /** the caller permits the node's own namespace (CNI_NETNS_OVERRIDE) */
  readonly mayBeOwn?: boolean;
}

/** `here`: open, dispose of it; `gone`: it no longer exists; `replaced`: gone, and its path leads to another one. */
export type Reopened =
  | { readonly state: 'here'; readonly netns: Netns }
  | { readonly state: 'gone' | 'replaced'; readonly netns?: never };

const GONE: Reopened = { state: 'gone' };
const REPLACED: Reopened = { state: 'replaced' };

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
export async function reopenIfHere(scope: Scope, sandbox: Sandbox): Promise<Netns | undefined> {
  const { state, netns } = await reopen(scope, sandbox);
  if (state === 'replaced') {
    scope.log(`the pod's network namespace is gone: "${sandbox.path}" is now another one`);
  } else if (state === 'gone' && sandbox.path !== undefined && existsSync(sandbox.path)) {
    scope.log(`the pod's network namespace is gone: nothing is mounted on "${sandbox.path}"`);
  }
  return netns;
}

async function reopenByIdentity(scope: Scope, { path }: Sandbox, identity: NetnsIdentity): Promise<Reopened> {
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
 * Without a recorded identity the path is trusted, unless it goes through a process and the interface is not there (the
 * process may be another one by now), or another pod's interface is there. Only if no path leads to the pod is the
 * interface searched elsewhere.
 */
async function reopenByLink(scope: Scope, { path, link, mayBeOwn = false }: Sandbox): Promise<Reopened> {
  const there = open(scope, path);
  if (there !== undefined && (await isTrustworthy(scope, there, { path, link, mayBeOwn }))) {
    return { state: 'here', netns: there };
  }
  there?.[Symbol.dispose]();
  const elsewhere = link?.mac === undefined ? undefined : await findWithLink(scope, link);
  if (elsewhere !== undefined) {
    return { state: 'here', netns: elsewhere };
  }
  if (link !== undefined && link.mac === undefined && there === undefined) {
    await refuseUnproven(scope, path, link);
  }
  return there === undefined ? GONE : REPLACED;
}

async function isTrustworthy(scope: Scope, there: Netns, { path, link, mayBeOwn = false }: Sandbox): Promise<boolean> {
  if (there.isSameAs(scope.node.host)) {
    return mayBeOwn;
  }
  if (link?.mac === undefined) {
    return true;
  }
  return path?.startsWith('/proc/') ? hasLink(there, link) : !(await hasForeignLink(there, link));
}

/** A pod's programs may change the hardware address or the addresses of its interface; if both differ, it is another pod's. */
async function hasForeignLink({ netlink }: Netns, { name, mac, addresses = [] }: SandboxLink): Promise<boolean> {
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

/** Whether there is an interface with that name and the known hardware address and addresses. */
async function hasLink({ netlink }: Netns, { name, mac, addresses = [] }: SandboxLink): Promise<boolean> {
  try {
    const link = await findLink(netlink, name);
    if (link === undefined || (mac !== undefined && link.mac !== mac)) {
      return false;
    }
    const found = addresses.length === 0 ? [] : await listAddresses(netlink, link.index);
    return addresses.every((text) => found.some(({ ip, prefix }) => formatCidr({ ip, prefix }) === text));
  } catch {
    return false; // it died meanwhile
  }
}

/** A lost mount leaves a file without a namespace: the pod may live on, unidentifiable. */
async function refuseUnproven(scope: Scope, path: string | undefined, link: SandboxLink): Promise<void> {
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

/** @throws CniError invalidNetns when it cannot be opened for another reason */
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
