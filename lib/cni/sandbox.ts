import { existsSync } from 'node:fs';
import * as z from 'zod/mini';
import { findLink, listAddresses } from '../link/observe.ts';
import { formatCidr } from '../net/cidr.ts';
import { type Netns, NetnsMissing, NotANetns } from '../netns/netns.ts';
import { CniError } from './errors.ts';
import { lookUp } from './json.ts';
import type { Call, Host } from './plugin.ts';
import { parseResult } from './result.ts';

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
  /** where it was, or is said to be; '' when nobody says */
  readonly path: string;
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
export function identityOf(host: Host, { identity, cookie }: Netns): NetnsIdentity {
  return { boot: host.bootId, inode: identity, ...(cookie === undefined ? {} : { cookie }) };
}

/** Is an open namespace the one that was recorded? */
export const isNetnsOf = (host: Host, netns: Netns, identity: NetnsIdentity): boolean =>
  identity.boot === host.bootId && isSame(netns, identity);

/** The sandbox of a call that has no record: the interface is that of prevResult. */
export function sandboxOf(call: Call<unknown>): Sandbox {
  const override = (call.env['CNI_NETNS_OVERRIDE'] ?? '').toLowerCase();
  return { path: call.netnsPath, link: linkOf(call), mayBeOwn: ['1', 'true'].includes(override) };
}

/**
 * The same for a call that is about a piece of hardware. Name and hardware address are then in whatever pod has it by now:
 * only with the addresses that it got in this one do they tell the pod.
 */
export function sandboxOfDevice(call: Call<unknown>): Sandbox {
  const { link, ...sandbox } = sandboxOf(call);
  return (link?.addresses ?? []).length > 0 ? { ...sandbox, link } : sandbox;
}

/**
 * Opens the namespace that an attachment was made in, wherever it is by now: where its path leads, else where processes
 * or mounts keep it.
 *
 * @throws CniError invalidNetns when it cannot be told whether it lives
 */
export async function reopen(host: Host, sandbox: Sandbox): Promise<Reopened> {
  return sandbox.identity === undefined ? byLink(host, sandbox) : byIdentity(host, sandbox, sandbox.identity);
}

/** The same, where both kinds of absence are one; a line of the log says which. */
export async function reopenIfHere(host: Host, sandbox: Sandbox): Promise<Netns | undefined> {
  const { state, netns } = await reopen(host, sandbox);
  if (state === 'replaced') {
    host.log(`the pod's network namespace is gone: "${sandbox.path}" is another's now`);
  } else if (state === 'gone' && existsSync(sandbox.path)) {
    host.log(`the pod's network namespace is gone: nothing is mounted on "${sandbox.path}"`);
  }
  return netns;
}

async function byIdentity(host: Host, { path }: Sandbox, identity: NetnsIdentity): Promise<Reopened> {
  const there = open(host, path);
  if (identity.boot === host.bootId) {
    if (there !== undefined && isSame(there, identity)) {
      return { state: 'here', netns: there };
    }
    const found = findSame(host, identity);
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

function findSame(host: Host, identity: NetnsIdentity): Netns | undefined {
  const name = `net:[${identity.inode.split(':')[1] ?? ''}]`;
  for (const { path } of host.livingNetns().filter((living) => living.name === name)) {
    const netns = open(host, path);
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
async function byLink(host: Host, { path, link, mayBeOwn = false }: Sandbox): Promise<Reopened> {
  const there = open(host, path);
  if (there !== undefined && (await isBelievable(host, there, { path, link, mayBeOwn }))) {
    return { state: 'here', netns: there };
  }
  there?.[Symbol.dispose]();
  const elsewhere = link?.mac === undefined ? undefined : await findWithLink(host, link);
  if (elsewhere !== undefined) {
    return { state: 'here', netns: elsewhere };
  }
  if (link !== undefined && link.mac === undefined && there === undefined) {
    await refuseUnproved(host, path, link);
  }
  return there === undefined ? GONE : REPLACED;
}

async function isBelievable(host: Host, there: Netns, { path, link, mayBeOwn = false }: Sandbox): Promise<boolean> {
  if (there.isSameAs(host.netns)) {
    return mayBeOwn;
  }
  if (link?.mac === undefined) {
    return true;
  }
  return path.startsWith('/proc/') ? hasLink(there, link) : !(await hasAnothersLink(there, link));
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

async function findWithLink(host: Host, link: SandboxLink): Promise<Netns | undefined> {
  for (const { path } of host.livingNetns()) {
    const netns = open(host, path);
    if (netns !== undefined && !netns.isSameAs(host.netns) && (await hasLink(netns, link))) {
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
async function refuseUnproved(host: Host, path: string, link: SandboxLink): Promise<void> {
  if (!existsSync(path)) {
    return;
  }
  using netns = await findWithLink(host, link);
  if (netns !== undefined) {
    throw new CniError(
      'invalidNetns',
      `cannot tell whether the pod of "${path}" lives: its mount is lost, there is no prevResult, and namespace ` +
        `"${netns.path}" has an interface "${link.name}"; end its processes, or call DEL with the namespace's path`,
    );
  }
}

/** @throws CniError invalidNetns when what is there cannot be looked at */
function open(host: Host, path: string): Netns | undefined {
  if (path === '') {
    return undefined;
  }
  try {
    return host.openNetns(path);
  } catch (error) {
    if (error instanceof NetnsMissing || error instanceof NotANetns) {
      return undefined;
    }
    throw error;
  }
}

/** As much of the attachment's interface as prevResult tells. */
function linkOf(call: Call<unknown>): SandboxLink {
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
