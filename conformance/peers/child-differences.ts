/** What plugins that give a pod a link on a parent do in another way than Go's, whatever the kind of the link. */
import type { Difference } from '../contract/difference.ts';
import type { Deviation } from './compare.ts';
import {
  bothFailed,
  failed,
  isDelOfNoNetns,
  isExit,
  isState,
  onlyGoFailed,
  onlyOursFailed,
  withoutMetrics,
} from './deviations.ts';

/**
 * @param kind of the links, which is the plugin's name too
 * @param shownBy the tier that has such links
 */
export const childDifferences = <const Tier extends 'conformance' | 'vm'>(kind: string, shownBy: Tier) =>
  [
    {
      id: 'del-lenient',
      ours: 'DEL reads no more of the configuration than it needs',
      go: 'a wrong type anywhere fails DEL',
      reason: 'a pod must be able to go',
      covers: (deviation) =>
        isExit(deviation, 'DEL') &&
        onlyGoFailed(deviation) &&
        /failed to load netconf: json/i.test(deviation.go.message),
    },
    {
      id: 'route-range',
      ours: "a route's negative or too large number is refused",
      go: 'ignored, and echoed in the result',
      reason: 'a typing error shows at once',
      covers: (deviation) =>
        isExit(deviation, 'ADD') &&
        onlyOursFailed(deviation) &&
        /is not a whole number from 0 to/.test(deviation.ours.message),
    },
    {
      id: 'del-kind',
      ours: 'DEL leaves an interface of another kind alone',
      go: 'deletes whatever has the name',
      reason: 'it is not ours',
      covers: (deviation) =>
        deviation.verb === 'DEL' &&
        !failed(deviation.ours) &&
        (deviation.aspect === 'pod'
          ? keepsForeignLink(deviation, kind)
          : /failed to delete "lo"/.test(deviation.go.message)),
    },
    {
      id: 'del-order',
      ours: 'DEL deletes the link before it gives addresses back, and does the second when the first failed',
      go: 'the other way round, stopping at a failure',
      reason: 'nobody else may get an address that is still in use',
      covers: (deviation) =>
        deviation.verb === 'DEL' && isState(deviation) && bothFailed(deviation) && deviation.ours.isUntouched,
    },
    {
      id: 'undo',
      ours: 'nothing is left after an ADD that failed',
      go: 'the link stays when IPAM or an address fails, addresses stay when IPAM returned none',
      reason: 'the next ADD meets a clean pod',
      covers: (deviation) =>
        isState(deviation) &&
        bothFailed(deviation) &&
        ['ADD', 'CHECK'].includes(deviation.verb) &&
        deviation.ours.isUntouched,
    },
    {
      id: 'route-attributes',
      ours: '`mtu` and `advmss` of a route are applied and checked',
      go: 'echoed in the result only',
      reason: 'the specification says so',
      covers: (deviation) =>
        deviation.aspect === 'pod' &&
        !failed(deviation.ours) &&
        withoutMetrics(deviation.ours) === withoutMetrics(deviation.go),
    },
    {
      id: 'route-host-bits',
      ours: "a route's destination is masked",
      go: 'IPv4: refused by the kernel',
      reason: 'what is meant is clear',
      covers: (deviation) =>
        isExit(deviation, 'ADD') &&
        onlyGoFailed(deviation) &&
        /failed to add route .*: invalid argument/.test(deviation.go.message),
    },
    {
      id: 'check-more',
      ours: 'CHECK also compares MTU, parent and up, and routes by table, metric and interface',
      go: 'fewer, and routes of other tables never match',
      reason: 'CHECK is worth its call',
      covers: (deviation) =>
        isExit(deviation, 'CHECK') &&
        ((onlyOursFailed(deviation) &&
          /is not on parent|has MTU|is down|cannot find route/.test(deviation.ours.message)) ||
          (onlyGoFailed(deviation) && /^Expected Route .* not found in routing table$/.test(deviation.go.message))),
    },
    {
      id: 'check-slash-32',
      ours: 'CHECK does not ask for a connected route',
      go: 'fails on a /32 address',
      reason: 'there is none for a /32',
      covers: (deviation) =>
        isExit(deviation, 'CHECK') && onlyGoFailed(deviation) && /Failed to find Gateway/.test(deviation.go.message),
    },
    {
      id: 'status-parent',
      ours: 'STATUS examines the parent',
      go: 'asks IPAM only',
      reason: 'a node says early that it cannot serve',
      covers: (deviation) =>
        isExit(deviation, 'STATUS') &&
        onlyOursFailed(deviation) &&
        deviation.ours.code === 50 &&
        /"master"|"mtu"/.test(deviation.ours.message),
    },
    {
      id: 'del-renamed',
      ours: "DEL deletes the interface that ADD made, also when the pod has renamed it, and never another pod's of that name",
      go: 'whatever has the name by then',
      reason: 'the interface says whose it is, a path proves nothing',
      covers: (deviation) =>
        deviation.verb === 'DEL' &&
        isState(deviation) &&
        !failed(deviation.ours) &&
        deviation.ours.isUntouched &&
        (deviation.case.meanwhile ?? []).some((command) => / net1 name net9$/.test(command)),
    },
    {
      id: 'del-no-netns',
      ours: 'DEL succeeds when CNI_NETNS is no network namespace and no other has the interface',
      go: 'fails',
      reason: 'a file is what a lost mount leaves, and a pod must be able to go',
      covers: isDelOfNoNetns,
    },
    {
      id: 'mark',
      ours: 'the interface has an alias that says whose it is: `braid <node> <container ID> <interface>`',
      go: 'none',
      reason: 'DEL finds it wherever the pod is, and an address is free only when it is gone',
      shownBy,
    },
  ] satisfies readonly Difference[];

const kindOf = (link: Readonly<Record<string, unknown>>): string | undefined =>
  (link['linkinfo'] as { readonly info_kind?: string } | undefined)?.info_kind;

/** A link of another kind is there, and Go has deleted it. */
const keepsForeignLink = ({ ours, go }: Deviation, kind: string): boolean =>
  ours.pod.links.some(
    (link) => kindOf(link) !== kind && !go.pod.links.some((other) => other['ifname'] === link['ifname']),
  );
