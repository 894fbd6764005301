import { existsSync, lstatSync } from 'node:fs';
import { type DeviceFacts, findDevice, listDevices } from '../link/device.ts';
import { listAddresses } from '../link/observe.ts';
import { formatCidr } from '../net/cidr.ts';
import { hasErrno } from '../netlink/errno.ts';
import { type Netns, NetnsMissing, NotANetns } from '../netns/netns.ts';
import { CniError } from './errors.ts';
import { isMark } from './mark.ts';
import type { Scope } from './scope.ts';

/** An interface, as far as it is known; pods are told apart by it. */
export interface SandboxLink {
  readonly name: string;
  readonly mac: string | undefined;
  /** with their prefix lengths */
  readonly addresses?: readonly string[];
  /** of a link that ADD made for the pod */
  readonly marked?: Marked | undefined;
}

/** By what a link is known that says itself whose it is. The Go plugins make links that say nothing. */
export interface Marked {
  readonly kind: string;
  /** see `markOf` */
  readonly mark: string;
  /** the addresses that are kept for it, without prefix lengths; undefined when that cannot be known */
  readonly reserved: () => Promise<readonly string[] | undefined>;
}

/** What is known of a namespace whose identity was not recorded. */
export interface LinkSandbox {
  /** where it was, or is said to be; undefined when nobody says */
  readonly path: string | undefined;
  /** the attachment's interface in it, by which it is known */
  readonly link?: SandboxLink | undefined;
  /** the caller insists on the node's own namespace (CNI_NETNS_OVERRIDE) */
  readonly mayBeOwn?: boolean;
}

/** `here`: open, to be disposed of; `gone`: it is no more; `replaced`: nor is it, and its path leads to something else. */
export type Reopened =
  | { readonly state: 'here'; readonly netns: Netns }
  | { readonly state: 'gone' | 'replaced'; readonly netns?: never };

export const GONE: Reopened = { state: 'gone' };
export const REPLACED: Reopened = { state: 'replaced' };

/**
 * Opens the namespace that has the link: where the path leads, else wherever it is. A link with our mark is it, one with
 * another's mark is not. Where no link of that name is marked, a path is believed, unless it goes through a process and
 * the link is not there (that process may be another one by now), or unless another pod's link is there.
 *
 * @throws CniError invalidNetns when it cannot be told whether it lives
 */
export async function reopenByLink(scope: Scope, sandbox: LinkSandbox): Promise<Reopened> {
  const there = openAt(scope, sandbox.path);
  let found: Netns | undefined;
  try {
    found = await findPod(scope, sandbox, there);
  } finally {
    if (found !== there) {
      there?.[Symbol.dispose]();
    }
  }
  return found === undefined ? (there === undefined ? GONE : REPLACED) : { state: 'here', netns: found };
}

/** @param there where the path leads */
async function findPod(scope: Scope, sandbox: LinkSandbox, there: Netns | undefined): Promise<Netns | undefined> {
  const { path, link } = sandbox;
  const told = there && (await tellsOf(scope, there, sandbox));
  if (told === 'it') {
    return there;
  }
  const sure = link?.marked && (await findLiving(scope, (netns) => isSurely(netns, link)));
  if (sure !== undefined) {
    return sure;
  }
  if (there !== undefined && told === 'maybe' && (await isBelievable(there, sandbox))) {
    return there;
  }
  return link && findUnmarked(scope, link, there === undefined ? path : undefined);
}

/** `maybe`: nothing there says whose it is. */
async function tellsOf(scope: Scope, there: Netns, sandbox: LinkSandbox): Promise<'it' | 'another' | 'maybe'> {
  const { link, mayBeOwn = false } = sandbox;
  if (there.isSameAs(scope.node.host)) {
    return mayBeOwn ? 'it' : 'another';
  }
  if (link?.marked === undefined) {
    return 'maybe';
  }
  const found = await findDevice(there.netlink, link.name);
  if (found?.alias === link.marked.mark) {
    return 'it';
  }
  if (found !== undefined && isMark(found.alias)) {
    return 'another';
  }
  return (await isSurely(there, link)) ? 'it' : 'maybe';
}

/** Our mark, under whatever name, which programs of a pod may change; or all that prevResult tells of one without. */
async function isSurely(netns: Netns, link: SandboxLink): Promise<boolean> {
  const mark = link.marked?.mark;
  const hasMark = mark !== undefined && (await listDevices(netns.netlink)).some(({ alias }) => alias === mark);
  return hasMark || (link.mac !== undefined && (await hasLink(netns, link)));
}

async function isBelievable(there: Netns, { path, link }: LinkSandbox): Promise<boolean> {
  if (link?.mac === undefined) {
    return true;
  }
  return path?.startsWith('/proc/') ? hasLink(there, link) : !(await hasAnothersLink(there, link));
}

/** Programs of a pod may change its interface's hardware address, or its addresses; both are another pod's. */
async function hasAnothersLink(netns: Netns, { name, mac, addresses = [] }: SandboxLink): Promise<boolean> {
  const link = addresses.length === 0 ? undefined : await findDevice(netns.netlink, name);
  if (link === undefined || link.mac === mac) {
    return false;
  }
  const found = await addressesOf(netns, link);
  return !found.some((address) => addresses.includes(address));
}

/** @param lost where nothing is mounted any more */
async function findUnmarked(scope: Scope, link: SandboxLink, lost: string | undefined): Promise<Netns | undefined> {
  if (link.mac !== undefined && link.marked === undefined) {
    return findLiving(scope, (netns) => hasLink(netns, link));
  }
  using suspect = await findLiving(scope, (netns) => isSuspect(netns, link));
  if (suspect === undefined) {
    return undefined;
  }
  const reserved = await link.marked?.reserved();
  if (reserved !== undefined) {
    return findLiving(scope, (netns) => isSuspect(netns, link, reserved));
  }
  if (link.mac === undefined && lost !== undefined && existsSync(lost)) {
    throw unproved(lost, link, suspect);
  }
  return undefined;
}

/** Is there an interface of that name, with as much as is known of its hardware address and addresses? */
async function hasLink(netns: Netns, { name, mac, addresses = [] }: SandboxLink): Promise<boolean> {
  const link = await findDevice(netns.netlink, name);
  if (link === undefined || isMark(link.alias) || (mac !== undefined && link.mac !== mac)) {
    return false;
  }
  const found = addresses.length === 0 ? [] : await addressesOf(netns, link);
  return addresses.every((address) => found.includes(address));
}

/**
 * Could the link be there, unmarked? Not if it has no address, since addresses are all that it could keep from others.
 *
 * @param among it must have one of these
 */
async function isSuspect(netns: Netns, { name, marked }: SandboxLink, among?: readonly string[]): Promise<boolean> {
  const link = await findDevice(netns.netlink, name);
  if (link === undefined || isMark(link.alias) || (marked !== undefined && link.kind !== marked.kind)) {
    return false;
  }
  const found = await addressesOf(netns, link);
  return among === undefined
    ? marked === undefined || found.length > 0
    : found.some((address) => among.includes(address.replace(/\/\d+$/, '')));
}

const LINK_LOCAL = /^fe[89ab]/;

/** Those that somebody gave it, with their prefix lengths. */
async function addressesOf({ netlink }: Netns, { index }: DeviceFacts): Promise<readonly string[]> {
  try {
    const found = (await listAddresses(netlink, index)).map(({ ip, prefix }) => formatCidr({ ip, prefix }));
    return found.filter((address) => !LINK_LOCAL.test(address));
  } catch (error) {
    if (hasErrno(error, 'ENODEV')) {
      return []; // it has gone since
    }
    throw error;
  }
}

/**
 * The first namespace that somebody keeps, not the node's own, of which something is true. None ends while we look, since
 * it is open: whatever fails leaves us in doubt.
 */
async function findLiving(scope: Scope, isIt: (netns: Netns) => Promise<boolean>): Promise<Netns | undefined> {
  for (const { path } of scope.node.livingNetns()) {
    const netns = openLiving(scope, path);
    let isFound = false;
    try {
      isFound = netns !== undefined && !netns.isSameAs(scope.node.host) && (await isIt(netns));
    } finally {
      if (!isFound) {
        netns?.[Symbol.dispose]();
      }
    }
    if (isFound) {
      return netns;
    }
  }
  return undefined;
}

/** A file without a namespace is what a lost mount leaves: the pod may live on, and nothing tells which one it is. */
const unproved = (path: string, { name }: SandboxLink, suspect: Netns): CniError =>
  new CniError(
    'invalidNetns',
    `cannot tell whether the pod of "${path}" lives: its mount is lost, there is no prevResult, and namespace ` +
      `"${suspect.path}" has an interface "${name}"; end its processes, or call DEL with the namespace's path`,
  );

/**
 * A namespace that was listed a moment ago.
 *
 * @returns undefined when the process that was in it has ended: the kernel then says EACCES, too
 * @throws CniError invalidNetns when it cannot be looked at
 */
export function openLiving(scope: Scope, path: string): Netns | undefined {
  try {
    return openAt(scope, path);
  } catch (error) {
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) {
      return undefined;
    }
    throw error;
  }
}

/**
 * A namespace by its path.
 *
 * @returns undefined when nothing leads there
 * @throws CniError invalidNetns when what is there cannot be looked at
 */
export function openAt(scope: Scope, path: string | undefined): Netns | undefined {
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
