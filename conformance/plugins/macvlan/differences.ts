/** What macvlan does in another way than Go's: the rows of its README, under "Differences". */
import type { Difference, Tag } from '../../contract/difference.ts';
import { childDifferences } from '../../peers/child-differences.ts';
import { bothFailed, isExit, isState, onlyGoFailed } from '../../peers/deviations.ts';

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
  ...childDifferences('macvlan', 'conformance'),
] as const satisfies readonly Difference[];

declare module 'vitest' {
  interface TestTags {
    readonly macvlan: Tag<'macvlan', typeof DIFFERENCES>;
  }
}
