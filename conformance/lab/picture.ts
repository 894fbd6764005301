/** All that the kernel says of a node. */
import { mustRun } from './execute.ts';
import { type Lab, PARENT } from './lab.ts';
import { type Entry, type NetnsState, stateOf } from './state.ts';

/** All that the kernel says of a node and its device. */
export interface Picture extends NetnsState {
  readonly rules: readonly Entry[];
  /** by their paths below /proc/sys/net */
  readonly settings: Readonly<Record<string, string>>;
}

export async function pictureOf(lab: Lab, device = PARENT): Promise<Picture> {
  const [state, ipv4, ipv6, settings] = await Promise.all([
    stateOf(lab.node),
    lab.ip(lab.node, '-j rule'),
    lab.ip(lab.node, '-6 -j rule'),
    settingsOf(lab, device),
  ]);
  const all = [...JSON.parse(ipv4), ...JSON.parse(ipv6)] as readonly Entry[];
  return { ...state, links: state.links.map(steady), routes: inOrder(state.routes), rules: all, settings };
}

/** The order of alternative names means nothing, and a port of a bridge counts down. */
function steady(link: Entry): Entry {
  const { altnames, linkinfo, ...rest } = link as Entry & { altnames?: readonly string[]; linkinfo?: Entry };
  const { info_slave_data: _, ...info } = linkinfo ?? {};
  return {
    ...rest,
    ...(altnames === undefined ? {} : { altnames: altnames.toSorted() }),
    ...(linkinfo === undefined ? {} : { linkinfo: info }),
  };
}

/** Routes that the kernel makes of addresses come in the order in which links went up. */
function inOrder(routes: readonly Entry[]): readonly Entry[] {
  const isKernels = ({ protocol }: Entry): boolean => protocol === 'kernel';
  const made = routes.filter(isKernels).map((route) => [JSON.stringify(route), route] as const);
  const sorted = made.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, route]) => route);
  return [...routes.filter((route) => !isKernels(route)), ...sorted];
}

async function settingsOf(lab: Lab, device: string): Promise<Readonly<Record<string, string>>> {
  const script = 'cd /proc/sys/net && for d in ipv4 ipv6; do grep -s "" $d/conf/"$0"/*; done; true';
  const text = await lab.run(['sh', '-c', script, device]);
  const lines = text.split('\n').filter((line) => line !== '');
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}

/** `ip` commands for a namespace, in one go. */
export const batch = (namespace: string, commands: readonly string[]): Promise<string> =>
  mustRun(['ip', '-n', namespace, '-batch', '-'], { stdin: commands.map((command) => `${command}\n`).join('') });
