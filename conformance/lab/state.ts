/** What the kernel says of a namespace, read with `ip -j`, in forms that can be compared. */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execute, mustRun } from './execute.ts';
import { pauseAfter } from './pause.ts';

type Value = null | boolean | number | string | readonly Value[] | Entry;
export interface Entry {
  readonly [key: string]: Value;
}

/** Links, addresses and routes of a namespace. */
export interface NetnsState {
  readonly links: readonly Entry[];
  readonly addresses: readonly Entry[];
  readonly routes: readonly Entry[];
  /** where they were asked for */
  readonly rules?: readonly Entry[];
}

const QUERY = 'link show\naddr show\nroute show table all\n';

/**
 * As it is, but for what changes by itself: counters, queues, carrier, timers, tentative addresses.
 *
 * @param run runs a program where the namespace has this name
 */
export const stateOf = async (namespace: string, run = mustRun): Promise<NetnsState> =>
  steady(await told(namespace, run));

/**
 * The same when the kernel has made what it makes late: link-local addresses of links that are up, and their routes. Links
 * that have no IPv6 are waited for a moment.
 */
export async function settledStateOf(namespace: string): Promise<NetnsState> {
  const begin = performance.now();
  for (;;) {
    const state = await told(namespace, mustRun);
    const waitedMs = performance.now() - begin;
    if (unsettledIn(state, upIn(state)).length === 0 || waitedMs > MOMENT_MS) {
      return steady(state);
    }
    await sleep(pauseAfter(waitedMs));
  }
}

const MOMENT_MS = 2_000;

async function told(namespace: string, run: typeof mustRun): Promise<NetnsState> {
  const text = await run(['ip', '-n', namespace, '-j', '-d', '-batch', '-'], { stdin: QUERY });
  const [links = [], addresses = [], routes = []] = text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as readonly Entry[]);
  return { links: links.filter(isThere), addresses: addresses.filter(isThere), routes: routes.filter(isThere) };
}

/** Those of links that lack the route of their link-local address, which comes after it, or that of multicast. */
export function unsettledIn({ routes }: Pick<NetnsState, 'routes'>, links: readonly string[]): readonly string[] {
  const ofAddress = (link: string): boolean =>
    routes.some(({ dev, dst, type }) => dev === link && type === 'local' && String(dst).startsWith('fe80:'));
  const ofMulticast = (link: string): boolean => routes.some(({ dev, dst }) => dev === link && dst === 'ff00::/8');
  return links.filter((link) => !(ofAddress(link) && ofMulticast(link)));
}

const upIn = ({ links }: NetnsState): readonly string[] => links.filter(isUp).map(({ ifname }) => String(ifname));

const isUp = ({ flags, link_type: type, inet6_addr_gen_mode: mode }: Entry): boolean =>
  ['UP', 'LOWER_UP'].every((flag) => (flags as readonly string[]).includes(flag)) &&
  type !== 'loopback' &&
  mode !== 'none';

function steady({ links, addresses, routes }: NetnsState): NetnsState {
  return {
    links: links.map(steadyLink),
    addresses: addresses.flatMap(addressesOf),
    routes: routes.map(({ flags: _, ...route }) => route),
  };
}

/** The rules of both families, IPv4 first. */
export async function rulesOf(namespace: string): Promise<readonly Entry[]> {
  const texts = await Promise.all(['-4', '-6'].map((family) => mustRun(['ip', '-n', namespace, family, '-j', 'rule'])));
  return texts.flatMap((text) => JSON.parse(text) as readonly Entry[]);
}

export const linkOf = (state: NetnsState, name: string): Entry | undefined =>
  state.links.find(({ ifname }) => ifname === name);

/** `10.1.0.2/24` of every address of a link, those that the kernel made itself left out. */
export const addressTexts = (state: NetnsState, name: string): readonly string[] =>
  state.addresses
    .filter(({ ifname, local }) => ifname === name && !isLinkLocal(String(local)))
    .map(({ local, prefixlen }) => `${local}/${prefixlen}`);

/** What a link's routes say, those that the kernel made itself left out. */
export const routesOf = (state: NetnsState, name: string): readonly Entry[] =>
  state.routes.filter(({ dev, protocol }) => dev === name && protocol !== 'kernel');

/** What a link says that we made for a pod: node, container ID, interface. */
export const MARK = /^braid \d+ (\S+) (.+)$/;

/**
 * The same in two namespaces that went through the same: indexes, marks and chosen hardware addresses are left out.
 *
 * @param wanted hardware addresses that were asked for: they are kept
 */
export function comparable(state: NetnsState, wanted: readonly string[] = []): NetnsState {
  const macOf = (value: Value | undefined): Value =>
    value === undefined
      ? null
      : wanted.includes(String(value)) || /^(00:)+00$|^(ff:)+ff$/.test(String(value))
        ? value
        : 'chosen';
  return {
    links: state.links.map(({ ifindex: _, link_index: __, link_netnsid: ___, ifalias, vfinfo_list: vfs, ...link }) => ({
      ...link,
      ...(ifalias === undefined || MARK.test(String(ifalias)) ? {} : { ifalias }),
      ...(vfs === undefined
        ? {}
        : { vfs: (vfs as readonly Entry[]).map((vf) => ({ ...vf, address: macOf(vf['address']) })) }),
      address: macOf(link['address']),
    })),
    addresses: state.addresses.filter(({ local }) => !isLinkLocal(String(local))),
    routes: state.routes.filter(({ dst }) => !isLinkLocal(String(dst))),
  };
}

/** Switches of a link that plugins set. */
export async function sysctlsOf(namespace: string, link: string): Promise<Readonly<Record<string, string>>> {
  const files = ['ipv4/conf/LINK/arp_notify', 'ipv6/conf/LINK/ndisc_notify', 'ipv6/conf/LINK/disable_ipv6'];
  const paths = [...files, 'ipv6/conf/LINK/keep_addr_on_down'].map(
    (name) => `/proc/sys/net/${name.replace('LINK', link)}`,
  );
  const { stdout } = await execute(['ip', 'netns', 'exec', namespace, 'grep', '-s', '', ...paths]);
  const lines = stdout.split('\n').filter((line) => line !== '');
  return Object.fromEntries(
    lines.map((line) => [line.slice('/proc/sys/net/'.length, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  );
}

/** Every file below a folder: its path there, mode and content. A missing folder is empty. */
export function filesIn(folder: string): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  const visit = (path: string, name: string): void => {
    const facts = lstatSync(path, { throwIfNoEntry: false });
    if (facts === undefined) {
      return;
    }
    const mode = (facts.mode & 0o7777).toString(8);
    if (facts.isDirectory()) {
      if (name !== '') {
        found[`${name}/`] = mode;
      }
      for (const entry of readdirSync(path).sort()) {
        visit(join(path, entry), join(name, entry));
      }
    } else {
      found[name] = `${mode} ${facts.isSymbolicLink() ? readlinkSync(path) : readFileSync(path, 'latin1')}`;
    }
  };
  visit(folder, '');
  return found;
}

/** `ip -j -d` puts empty objects where a filter left something out. */
const isThere = (entry: Entry): boolean => Object.keys(entry).length > 0;

const isLinkLocal = (text: string): boolean => /^(fe[89ab]|ff)/i.test(text);

function steadyLink(link: Entry): Entry {
  const { operstate: _, qdisc: __, flags, ...rest } = link;
  const { info_kind: kind, info_data: data, ...info } = (rest['linkinfo'] ?? {}) as Entry;
  const timers = Object.entries((data ?? {}) as Entry).filter(([name]) => !/_timer$/.test(name));
  const kept = (flags as readonly string[]).filter((flag) => !['LOWER_UP', 'NO-CARRIER', 'M-DOWN'].includes(flag));
  return {
    ...rest,
    ...(kind === undefined ? {} : { linkinfo: { info_kind: kind, info_data: Object.fromEntries(timers), ...info } }),
    flags: kept,
  };
}

function addressesOf(link: Entry): readonly Entry[] {
  return ((link['addr_info'] ?? []) as readonly Entry[]).map(({ tentative: _, ...address }) => ({
    ifname: link['ifname'] ?? null,
    ...address,
  }));
}
