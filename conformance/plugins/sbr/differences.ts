/** What sbr does in another way than Go's: the rows of its README, under "Differences". */
import { isDeepStrictEqual } from 'node:util';
import type { Difference, Tag } from '../../contract/difference.ts';
import type { Entry, NetnsState } from '../../lab/state.ts';
import type { Deviation } from '../../peers/compare.ts';
import { bothFailed, failed, isExit, isState, onlyGoFailed, onlyOursFailed } from '../../peers/deviations.ts';

/** The pods of both sides differ, in routes alone, and in none that pass this. */
function differOnlyIn(deviation: Deviation, isOther: (route: Entry) => boolean): boolean {
  const { aspect, ours, go } = deviation;
  const rest = ({ routes, ...pod }: NetnsState) => ({ ...pod, routes: routes.filter((route) => !isOther(route)) });
  return (
    aspect === 'pod' &&
    !failed(ours) &&
    !failed(go) &&
    ours.pod.routes.length > 0 &&
    isDeepStrictEqual(rest(ours.pod), rest(go.pod))
  );
}

const isAbout = ({ case: { title } }: Deviation, ...words: readonly string[]): boolean =>
  words.some((word) => title.includes(word));
const isIpv6 = ({ dst, gateway }: Entry): boolean => `${String(dst)} ${String(gateway)}`.includes(':');
/** Tables that were chosen. */
const isInTable = ({ table }: Entry): boolean => /^10\d$/.test(String(table));

export const DIFFERENCES = [
  {
    id: 'mark',
    ours: 'rules have protocol 98',
    go: 'none',
    reason: 'DEL and GC tell them from rules of the pod',
    shownBy: 'conformance',
  },
  {
    id: 'undo',
    ours: 'an ADD that fails leaves nothing',
    go: 'rules and routes stay',
    reason: 'the next ADD meets a clean pod',
    covers: (deviation) =>
      isState(deviation) &&
      bothFailed(deviation) &&
      ['ADD', 'CHECK'].includes(deviation.verb) &&
      deviation.ours.isUntouched,
  },
  {
    id: 'table-used',
    ours: 'a table that has routes without a rule is not chosen',
    go: "only the main table's routes are looked at",
    reason: "`table` of an IPAM plugin's route, or another plugin, has it",
    covers: (deviation) => deviation.aspect === 'pod' && isAbout(deviation, 'in use by a route alone'),
  },
  {
    id: 'table-number',
    ours: 'a `table` below 1 is refused',
    go: 'the kernel chooses another one, DEL does not find its rule',
    reason: 'what is asked for is done or refused',
    covers: (deviation) =>
      isExit(deviation, 'ADD') &&
      onlyOursFailed(deviation) &&
      /cannot use "table": .* is not at (least|most)/.test(deviation.ours.message),
  },
  {
    id: 'other-family',
    ours: 'routes go to tables of addresses of their family, and stay in the main table when there is none',
    go: 'go to all tables; those of a family without address are lost for it',
    reason: 'an interface with a static IPv4 address may have its IPv6 address from the router',
    covers: (deviation) =>
      (isAbout(deviation, 'both families') && differOnlyIn(deviation, isInTable)) ||
      (isAbout(deviation, 'of an interface with an IPv4 address') && differOnlyIn(deviation, isIpv6)),
  },
  {
    id: 'route-unmatched',
    ours: 'routes that belong to no address go to the tables of all addresses of their family',
    go: 'deleted',
    reason: 'the gateway of a /32, or a link-local one, is in no subnet',
    covers: (deviation) =>
      isAbout(deviation, 'belongs to none') && differOnlyIn(deviation, ({ dst }) => dst === 'default'),
  },
  {
    id: 'route-twice',
    ours: 'of several routes with one destination and metric all go, in their order, also IPv6 ones with several next hops',
    go: 'the last one replaces the others; those with several next hops stay',
    reason: 'the first one is the one in use',
    covers: (deviation) =>
      isAbout(deviation, 'default route twice') && differOnlyIn(deviation, ({ dst }) => dst === 'default'),
  },
  {
    id: 'route-attributes',
    ours: 'routes keep all their attributes',
    go: 'those that it knows',
    reason: 'they were set for a reason',
    covers: (deviation) => isAbout(deviation, 'with a preference') && differOnlyIn(deviation, isInTable),
  },
  {
    id: 'link-local',
    ours: 'routes to link-local addresses stay in the main table too',
    go: 'deleted there',
    reason: 'neighbours on the link stay reachable by `fe80::…%net1`',
    shownBy: 'conformance',
  },
  {
    id: 'no-address',
    ours: 'an interface without address in `prevResult` is refused',
    go: 'its routes are deleted, without a rule',
    reason: 'the pod would lose its routes',
    covers: (deviation) =>
      isExit(deviation, 'ADD') && onlyOursFailed(deviation) && /has none, only/.test(deviation.ours.message),
  },
  {
    id: 'del-gone',
    ours: 'DEL succeeds when the namespace is gone, or CNI_NETNS is absent or no namespace',
    go: 'fails, and leaves an empty file where the namespace was',
    reason: 'a pod must be able to go',
    shownBy: 'conformance',
  },
  {
    id: 'del-address',
    ours: 'DEL finds rules by the addresses of `prevResult` too, also when the interface is gone, and those of its own that lead nowhere',
    go: 'by those that the interface has at that moment',
    reason: 'nothing is left in a namespace that lives on',
    covers: (deviation) =>
      deviation.verb === 'DEL' &&
      deviation.aspect === 'pod' &&
      isAbout(deviation, 'has taken away', 'that has gone') &&
      (deviation.ours.pod.rules?.length ?? 0) < (deviation.go.pod.rules?.length ?? 0),
  },
  {
    id: 'del-lenient',
    ours: 'DEL reads no more of the configuration than it needs',
    go: 'a wrong type anywhere fails DEL',
    reason: 'a pod must be able to go',
    covers: (deviation) =>
      isExit(deviation, 'DEL') && onlyGoFailed(deviation) && /parse network configuration/.test(deviation.go.message),
  },
  {
    id: 'del-others',
    ours: "DEL leaves a rule alone that leads to another interface's table",
    go: 'deletes every rule from the address',
    reason: 'two networks of a pod may use the same addresses',
    shownBy: 'conformance',
  },
  {
    id: 'check',
    ours: 'CHECK looks at rules and tables',
    go: 'always succeeds',
    reason: 'CHECK is worth its call',
    covers: (deviation) =>
      isExit(deviation, 'CHECK') && onlyOursFailed(deviation) && /^check failed: /.test(deviation.ours.message),
  },
] as const satisfies readonly Difference[];

declare module 'vitest' {
  interface TestTags {
    readonly sbr: Tag<'sbr', typeof DIFFERENCES>;
  }
}
