import { existsSync, lstatSync } from 'node:fs';
import { findLink, type LinkFacts, listAddresses, listLinks } from '../link/observe.ts';
import { formatCidr } from '../net/cidr.ts';
import { hasErrno } from '../netlink/errno.ts';
import { type Netns, NetnsMissing, NotANetns } from '../netns/netns.ts';
import { CniError } from './errors.ts';
import { isMark } from './mark.ts';
import type { Scope } from './scope.ts';

/** What is known of an interface that identifies a pod. */
export interface SandboxLink {
  readonly name: string;
  readonly mac: string | undefined;
  /** with their prefix lengths */
  readonly addresses?: readonly string[];
  /** of a link that ADD made for the pod */
  readonly marked?: Marked | undefined;
}

/** How to recognize a link that names its attachment. Links of the Go plugins do not. */
export interface Marked {
  readonly kind: string;
  /** see `markOf` */
  readonly mark: string;
  /** the addresses reserved for it, without prefix lengths; undefined when that cannot be determined */
  readonly reserved: () => Promise<readonly string[] | undefined>;
}

/** What is known of a namespace without a recorded identity. */
export interface LinkSandbox {
  /** recorded or given; undefined when neither */
  readonly path: string | undefined;
  /** the attachment's interface, which identifies it */
  readonly link?: SandboxLink | undefined;
  /** the caller permits the node's own namespace (CNI_NETNS_OVERRIDE) */
  readonly mayBeOwn?: boolean;
}

/** An open namespace, to be disposed of. */
interface Here {
  readonly netns: Netns;
  /** the attachment's link, if it was seen there by its name and mark */
  readonly link?: LinkFacts;
}

/** `here`: open; `gone`: it no longer exists; `replaced`: gone, and its path leads to another one. */
export type Reopened =
  | ({ readonly state: 'here' } & Here)
  | { readonly state: 'gone' | 'replaced'; readonly netns?: never; readonly link?: never };

export const GONE: Reopened = { state: 'gone' };
export const REPLACED: Reopened = { state: 'replaced' };

/**
 * Opens the namespace that has the link: at the path, else wherever it is. A link with our mark proves it, one with
 * another's mark disproves it. If no link of that name is marked, the path is trusted, unless it goes through a process
 * and the link is not there (the process may be another one by now), or another pod's link is there.
 *
 * @throws CniError invalidNetns when it cannot be determined whether it lives
 */
export async function reopenByLink(scope: Scope, sandbox: LinkSandbox): Promise<Reopened> {
  const there = openAt(scope, sandbox.path);
  let found: Here | undefined;
  try {
    found = await findPod(scope, sandbox, there);
  } finally {
    if (found?.netns !== there) {
      there?.[Symbol.dispose]();
    }
  }
  return found === undefined ? (there === undefined ? GONE : REPLACED) : { state: 'here', ...found };
}

/** @param there where the path leads */
async function findPod(scope: Scope, sandbox: LinkSandbox, there: Netns | undefined): Promise<Here | undefined> {
  const { path, link } = sandbox;
  const verdict = there && (await verdictOn(scope, there, sandbox));
  if (there !== undefined && verdict?.is === 'it') {
    return { netns: there, ...(verdict.link && { link: verdict.link }) };
  }
  const sure = link?.marked && (await findLiving(scope, (netns) => hasOwnLink(netns, link)));
  if (sure !== undefined) {
    return { netns: sure };
  }
  if (there !== undefined && verdict?.is === 'maybe' && (await isTrustworthy(there, sandbox))) {
    return { netns: there };
  }
  const unmarked = link && (await findUnmarked(scope, link, there === undefined ? path : undefined));
  return unmarked && { netns: unmarked };
}

/** Whether the path leads to the pod: `it`, perhaps with the link that says so; `maybe`: no link there is marked. */
interface Verdict {
  readonly is: 'it' | 'another' | 'maybe';
  readonly link?: LinkFacts;
}

async function verdictOn(scope: Scope, there: Netns, sandbox: LinkSandbox): Promise<Verdict> {
  const { link, mayBeOwn = false } = sandbox;
  if (there.isSameAs(scope.node.host)) {
    return { is: mayBeOwn ? 'it' : 'another' };
  }
  if (link?.marked === undefined) {
    return { is: 'maybe' };
  }
  const found = await scope.findLink(there, link.name);
  if (found?.alias === link.marked.mark) {
    return { is: 'it', link: found };
  }
  if (found !== undefined && isMark(found.alias)) {
    return { is: 'another' };
  }
  return { is: (await hasOwnLink(there, link)) ? 'it' : 'maybe' };
}

/** Our mark under any name, since a pod's programs may rename links; or an unmarked link as prevResult describes it. */
async function hasOwnLink(netns: Netns, link: SandboxLink): Promise<boolean> {
  const mark = link.marked?.mark;
  const hasMark = mark !== undefined && (await listLinks(netns.netlink)).some(({ alias }) => alias === mark);
  return hasMark || (link.mac !== undefined && (await hasLink(netns, link)));
}

async function isTrustworthy(there: Netns, { path, link }: LinkSandbox): Promise<boolean> {
  if (link?.mac === undefined) {
    return true;
  }
  return path?.startsWith('/proc/') ? hasLink(there, link) : !(await hasForeignLink(there, link));
}

/** A pod's programs may change the hardware address or the addresses of its interface; if both differ, it is another pod's. */
async function hasForeignLink(netns: Netns, { name, mac, addresses = [] }: SandboxLink): Promise<boolean> {
  const link = addresses.length === 0 ? undefined : await findLink(netns.netlink, name);
  if (link === undefined || link.mac === mac) {
    return false;
  }
  const found = await addressesOf(netns, link);
  return !found.some((address) => addresses.includes(address));
}

/** @param lost a path on which nothing is mounted any longer */
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
    return await findLiving(scope, (netns) => isSuspect(netns, link, reserved));
  }
  if (link.mac === undefined && lost !== undefined && existsSync(lost)) {
    throw unproved(lost, link, suspect);
  }
  return undefined;
}

/** Whether there is an interface with that name and the known hardware address and addresses. */
async function hasLink(netns: Netns, { name, mac, addresses = [] }: SandboxLink): Promise<boolean> {
  const link = await findLink(netns.netlink, name);
  if (link === undefined || isMark(link.alias) || (mac !== undefined && link.mac !== mac)) {
    return false;
  }
  const found = addresses.length === 0 ? [] : await addressesOf(netns, link);
  return addresses.every((address) => found.includes(address));
}

/**
 * Whether the link could be there, unmarked. Not without an address: only addresses would have to stay reserved.
 *
 * @param among it must have one of these
 */
async function isSuspect(netns: Netns, { name, marked }: SandboxLink, among?: readonly string[]): Promise<boolean> {
  const link = await findLink(netns.netlink, name);
  if (link === undefined || isMark(link.alias) || (marked !== undefined && link.kind !== marked.kind)) {
    return false;
  }
  const found = await addressesOf(netns, link);
  return among === undefined
    ? marked === undefined || found.length > 0
    : found.some((address) => among.includes(address.replace(/\/\d+$/, '')));
}

const LINK_LOCAL = /^fe[89ab]/;

/** All except link-local ones, with their prefix lengths. */
async function addressesOf({ netlink }: Netns, { index }: LinkFacts): Promise<readonly string[]> {
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
 * The first living namespace, other than the node's own, that satisfies a condition. It is open during the check and
 * cannot end, so a failure is an error and not an absence.
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

/** A lost mount leaves a file without a namespace: the pod may live on, unidentifiable. */
const unproved = (path: string, { name }: SandboxLink, suspect: Netns): CniError =>
  new CniError(
    'invalidNetns',
    `cannot tell whether the pod of "${path}" lives: its mount is lost, there is no prevResult, and namespace ` +
      `"${suspect.path}" has an interface "${name}"; end its processes, or call DEL with the namespace's path`,
  );

/**
 * A namespace that was listed a moment ago.
 *
 * @returns undefined when its process has ended, for which the kernel may report EACCES
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
