/** What whereabouts does in another way than Go's: the rows of its README, under "Differences". */
import type { Difference, Tag } from '../../contract/difference.ts';

export const DIFFERENCES = [
  {
    id: 'file',
    ours: 'keeps reservations on the node',
    go: 'has no such datastore and ignores `datastore`',
    reason: 'a single node needs no cluster',
    shownBy: 'conformance',
  },
  {
    id: 'flat-file',
    ours: 'may be missing when the configuration names its datastore',
    go: 'must exist',
    reason: 'nothing is missing then',
    shownBy: 'conformance',
  },
  {
    id: 'atomic',
    ours: 'several ranges: all or none',
    go: 'earlier ones stay reserved when a later one fails',
    reason: 'nothing leaks',
    shownBy: 'conformance',
  },
  {
    id: 'del-all',
    ours: 'DEL visits every range',
    go: 'stops at the first that holds nothing',
    reason: 'dual-stack attachments leaked',
    shownBy: 'conformance',
  },
  {
    id: 'del-errors',
    ours: 'DEL fails when nothing could be freed, so the runtime tries again',
    go: 'reports success',
    reason: 'nothing leaks',
    shownBy: 'conformance',
  },
  {
    id: 'del-lenient',
    ours: 'DEL needs only where the store is',
    go: 'any fault of the configuration fails DEL',
    reason: 'a pod can always go',
    shownBy: 'conformance',
  },
  {
    id: 'del-creates',
    ours: 'DEL creates nothing',
    go: 'creates the pool',
    reason: 'there is nothing to free',
    shownBy: 'conformance',
  },
  {
    id: 'no-pod',
    ours: "a call without a pod's name is served",
    go: '`no pod name`',
    reason: 'it works with cnitool',
    shownBy: 'conformance',
  },
  {
    id: 'twice',
    ours: 'a range written twice, and ranges that overlap, give different addresses in one call',
    go: 'the same address twice',
    reason: 'no interface needs an address twice',
    shownBy: 'conformance',
  },
  {
    id: 'same-pod',
    ours: 'two interfaces of one pod in ranges that overlap get different addresses',
    go: 'the same address',
    reason: 'it is a duplicate',
    shownBy: 'conformance',
  },
  {
    id: 'overlap-all',
    ours: 'an address held in another range of the network is taken, also when that range is not protected itself',
    go: 'only when both are',
    reason: 'it is in use',
    shownBy: 'conformance',
  },
  {
    id: 'wedge',
    ours: 'a pod whose old address another range has given away gets a new one',
    go: 'its ADD fails for ever',
    reason: 'it must be able to come back',
    shownBy: 'conformance',
  },
  {
    id: 'gateway-family',
    ours: '`gateway` goes with addresses of its own family',
    go: 'with every address',
    reason: 'an IPv4 gateway is none for IPv6',
    shownBy: 'conformance',
  },
  {
    id: 'exclude',
    ours: 'exclusions are checked always',
    go: 'only when an address is searched',
    reason: 'a typing error shows at once',
    shownBy: 'conformance',
  },
  {
    id: 'bounds',
    ours: 'a top-level `range_start` or `range_end` that is no address is refused',
    go: 'ignored',
    reason: 'the window would silently be another',
    shownBy: 'conformance',
  },
  {
    id: 'small',
    ours: 'a range without usable addresses is refused with the configuration',
    go: 'when an address is searched, with code 999',
    reason: 'it can never work',
    shownBy: 'conformance',
  },
  {
    id: 'names',
    ours: '`network_name` must be a lower case RFC 1123 name',
    go: 'refused by the API server',
    reason: 'it names a folder',
    shownBy: 'conformance',
  },
  {
    id: 'keys',
    ours: 'offsets beyond 2^63 work, and keys are always canonical',
    go: 'lost, and given twice',
    reason: 'an address is an address',
    shownBy: 'conformance',
  },
  {
    id: 'gateway-key',
    ours: '`Gateway` is `gateway` in another case',
    go: 'read leniently by itself',
    reason: 'keys match without regard to case',
    shownBy: 'conformance',
  },
  {
    id: 'slices',
    ours: '`node_slice_size` is refused with `"file"`',
    go: 'slices are what it gives a node',
    reason: 'slices are for clusters',
    shownBy: 'conformance',
  },
  {
    id: 'datastore-words',
    ours: 'an unknown `datastore` is refused; `etcd` means `kubernetes`',
    go: 'ignored',
    reason: 'a typing error must not move reservations elsewhere',
    shownBy: 'conformance',
  },
  {
    id: 'check',
    ours: 'CHECK works',
    go: 'CHECK always fails',
    reason: 'a reservation can be lost',
    shownBy: 'conformance',
  },
  {
    id: 'gc',
    ours: 'GC works',
    go: 'does nothing',
    reason: 'nothing leaks',
    shownBy: 'conformance',
  },
  {
    id: 'status',
    ours: 'STATUS works',
    go: 'does nothing',
    reason: 'a node says early that it cannot serve',
    shownBy: 'conformance',
  },
] as const satisfies readonly Difference[];

declare module 'vitest' {
  interface TestTags {
    readonly whereabouts: Tag<'whereabouts', typeof DIFFERENCES>;
  }
}
