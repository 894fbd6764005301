/** What ipvlan does in another way than Go's: the rows of its README, under "Differences". */
import type { Difference, Tag } from '../../contract/difference.ts';
import { childDifferences } from '../../peers/child-differences.ts';
import type { Step } from '../../peers/compare.ts';
import { isExit, onlyGoFailed, onlyOursFailed } from '../../peers/deviations.ts';

export const DIFFERENCES = [
  {
    id: 'mtu-range',
    ours: "a negative `mtu`, or one above the parent's, is refused",
    go: 'the first is ignored, the second taken',
    reason: 'the parent drops what is larger, without a word',
    covers: (deviation) =>
      onlyOursFailed(deviation) && /"mtu"|has MTU/.test(deviation.ours.message) && deviation.verb !== 'STATUS',
  },
  {
    id: 'default-parent',
    ours: 'the link that the kernel says leads outside, IPv4 first: by metric, router preference and rules; of several next hops the first that lives',
    go: "the first default route of the main table in the kernel's list; fails on several next hops",
    reason: "the node's own choice",
    covers: (deviation) =>
      isExit(deviation, 'ADD') && onlyGoFailed(deviation) && deviation.case.title.includes('route of several ways'),
  },
  {
    id: 'check-without-master',
    ours: 'CHECK does without a `master`',
    go: 'fails: it looks for an interface without a name',
    reason: 'the default and a chain leave it out',
    covers: (deviation) =>
      isExit(deviation, 'CHECK') && onlyGoFailed(deviation) && /failed to lookup master ""/.test(deviation.go.message),
  },
  {
    id: 'del-without-master',
    ours: 'DEL needs no parent',
    go: 'fails when `master` is absent and the default route gone, or the previous result has several interfaces',
    reason: 'a pod must be able to go',
    covers: (deviation) =>
      isExit(deviation, 'DEL') &&
      onlyGoFailed(deviation) &&
      /no default route interface found|chained master failure|could not parse prevResult/.test(deviation.go.message),
  },
  {
    id: 'refusal-reason',
    ours: 'where the kernel refuses a link or an address, the error says what can be seen of the reason',
    go: 'an errno in words',
    reason: '"device or resource busy" leaves the reader to guess',
    shownBy: 'vm',
  },
  {
    id: 'dhcp-up',
    ours: 'with `dhcp` the link is up before the IPAM plugin is asked',
    go: 'the daemon must do it',
    reason: '"network is down"',
    shownBy: 'vm',
  },
  {
    id: 'dad',
    ours: 'waits for duplicate address detection whenever an IPv6 address was added',
    go: 'only when there is an IPv6 gateway',
    reason: 'a pod that starts can use its address',
    shownBy: 'vm',
  },
  {
    id: 'add-twice',
    ours: 'a second ADD fails and leaves nothing in the pod',
    go: 'leaves a link under a temporary name',
    reason: 'the next ADD meets a clean pod',
    covers: (deviation) =>
      deviation.aspect === 'pod' &&
      deviation.case.verbs?.filter((verb) => verb === 'ADD').length === 2 &&
      temporaryIn(deviation.go) &&
      !temporaryIn(deviation.ours),
  },
  ...childDifferences('ipvlan', 'vm'),
] as const satisfies readonly Difference[];

/** Is there a link that has not got its name? */
const temporaryIn = ({ pod }: Step): boolean =>
  pod.links.some(({ ifname }) => /^veth[0-9a-f]{8}$/.test(String(ifname)));

declare module 'vitest' {
  interface TestTags {
    readonly ipvlan: Tag<'ipvlan', typeof DIFFERENCES>;
  }
}
