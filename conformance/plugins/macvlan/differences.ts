/** What macvlan does in another way than Go's: the rows of its README, under "Differences". */
import type { Difference, Tag } from '../../contract/difference.ts';
import type { Deviation } from '../../peers/compare.ts';
import {
  bothFailed,
  failed,
  isExit,
  isState,
  onlyGoFailed,
  onlyOursFailed,
  withoutMetrics,
} from '../../peers/deviations.ts';

export const DIFFERENCES = [
  {
    id: 'mac-multicast',
    ours: 'a multicast or non-Ethernet `mac` is refused with its value',
    go: "the kernel's error",
    reason: 'a clear message',
    covers: (deviation) =>
      deviation.aspect === 'code' &&
      bothFailed(deviation) &&
      deviation.ours.code === 7 &&
      /failed to create macvlan: (cannot assign requested address|invalid argument)/.test(deviation.go.message),
  },
  {
    id: 'mac-random',
    ours: 'the hardware address is made by the plugin: random, locally administered',
    go: 'made by the kernel',
    reason: "systemd's persistent policy gives cloned nodes equal addresses",
    shownBy: 'conformance',
  },
  {
    id: 'dad',
    ours: 'waits for duplicate address detection whenever an IPv6 address was added',
    go: 'only when there is an IPv6 gateway',
    reason: 'a pod that starts can use its address',
    shownBy: 'conformance',
  },
  {
    id: 'dhcp-up',
    ours: 'with `dhcp` the link is up before the IPAM plugin is asked',
    go: 'the daemon must do it',
    reason: '"network is down"',
    shownBy: 'conformance',
  },
  {
    id: 'del-lenient',
    ours: 'DEL reads no more of the configuration than it needs',
    go: 'a wrong type anywhere fails DEL',
    reason: 'a pod must be able to go',
    covers: (deviation) =>
      isExit(deviation, 'DEL') && onlyGoFailed(deviation) && /failed to load netConf: json/.test(deviation.go.message),
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
    ours: 'DEL leaves an interface that is not a macvlan alone',
    go: 'deletes whatever has the name',
    reason: 'it is not ours',
    covers: (deviation) =>
      deviation.verb === 'DEL' &&
      !failed(deviation.ours) &&
      (deviation.aspect === 'pod' ? keepsForeignLink(deviation) : /failed to delete "lo"/.test(deviation.go.message)),
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
    id: 'default-parent',
    ours: 'the link that the kernel says leads outside, IPv4 first: by metric, router preference and rules; of several next hops the first that lives',
    go: "the first default route of the main table in the kernel's list; fails on several next hops",
    reason: "the node's own choice",
    covers: (deviation) =>
      isExit(deviation, 'ADD') &&
      onlyGoFailed(deviation) &&
      deviation.go.message === 'invalid argument' &&
      deviation.case.title.includes('default route of several ways'),
  },
  {
    id: 'passthru-mac',
    ours: 'in `passthru` mode the interface wears the `mac` that is asked for, and so does the parent until it is gone',
    go: 'ignores it, as the kernel does',
    reason: 'what is asked for is done or refused',
    covers: (deviation) =>
      (deviation.case.conf as { mode?: unknown } | undefined)?.mode === 'passthru' &&
      ['stdout', 'pod', 'node'].includes(deviation.aspect),
  },
  {
    id: 'refusal-reason',
    ours: 'where the kernel refuses a link, the error says what can be seen of the reason',
    go: 'an errno in words',
    reason: '"device or resource busy" leaves the reader to guess',
    shownBy: 'conformance',
  },
  {
    id: 'l2-old-version',
    ours: 'ADD without `ipam` in version 0.1.0 or 0.2.0 is refused before anything is done',
    go: 'refused when everything is done, link left',
    reason: 'such a result cannot be printed',
    covers: (deviation) =>
      isState(deviation) &&
      deviation.verb === 'ADD' &&
      bothFailed(deviation) &&
      deviation.ours.isUntouched &&
      /no valid IP|valid IP/i.test(deviation.go.message),
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
] as const satisfies readonly Difference[];

declare module 'vitest' {
  interface TestTags {
    readonly macvlan: Tag<'macvlan', typeof DIFFERENCES>;
  }
}

/** A link that is no macvlan is there, and Go has deleted it. */
function keepsForeignLink({ ours, go }: Deviation): boolean {
  return ours.pod.links.some(
    ({ ifname, linkinfo }) =>
      (linkinfo as { info_kind?: string } | undefined)?.info_kind !== 'macvlan' &&
      !go.pod.links.some((other) => other['ifname'] === ifname),
  );
}
