/** What host-local does in another way than Go's: the rows of its README, under "Differences". */
import type { Difference, Tag } from '../../contract/difference.ts';
import { bothFailed, hasOtherCode, isExit, isState, onlyGoFailed, onlyOursFailed } from '../../peers/deviations.ts';

export const DIFFERENCES = [
  {
    id: 'owners',
    ours: 'keeps a hidden file `.owners` in the folder, which may be deleted',
    go: 'reads all files in each call',
    reason: 'an ADD takes as long with 1,000 addresses held as with 10',
    shownBy: 'conformance',
  },
  {
    id: 'undo-own',
    ours: 'an ADD that fails takes back what it has given itself',
    go: 'takes back all that the attachment has, also from an earlier ADD',
    reason: 'a running pod keeps its address, which would be given to another',
    covers: (deviation) =>
      isState(deviation) && deviation.verb === 'ADD' && bothFailed(deviation) && deviation.ours.isUntouched,
  },
  {
    id: 'empty',
    ours: 'an address whose file is empty is given when no other is free, and freed by GC',
    go: 'is never given again',
    reason: 'a kill or a full disk leaves such files, until the range is used up',
    shownBy: 'conformance',
  },
  {
    id: 'disk-full',
    ours: 'an ADD that fails on a full disk leaves nothing',
    go: 'an address stays that nobody has got, when `last_reserved_ip` cannot be written',
    reason: 'nothing leaks',
    shownBy: 'conformance',
  },
  {
    id: 'foreseen',
    ours: 'asked-for addresses that no range has, of which two are of one set, or that are the gateway, are refused before anything is given',
    go: 'given, then taken back',
    reason: 'a fault of the configuration changes nothing',
    shownBy: 'conformance',
  },
  {
    id: 'small-subnets',
    ours: 'all addresses of a /31 or /32, /127 or /128 are given, without a gateway unless one is written',
    go: 'too small to allocate from',
    reason: 'RFC 3021 and RFC 6164',
    covers: (deviation) =>
      isExit(deviation, 'ADD') && onlyGoFailed(deviation) && /too small to allocate from/.test(deviation.go.message),
  },
  {
    id: 'reversed',
    ours: 'a `rangeStart` behind the usual end of the subnet is refused',
    go: 'gives addresses outside of the subnet',
    reason: 'they are not those of the network',
    covers: (deviation) =>
      isExit(deviation, 'ADD') && onlyOursFailed(deviation) && /a range without addresses/.test(deviation.ours.message),
  },
  {
    id: 'del-lenient',
    ours: 'DEL reads no more of the configuration than it needs',
    go: 'any fault fails DEL',
    reason: 'a pod must be able to go',
    covers: (deviation) => deviation.verb === 'DEL' && onlyGoFailed(deviation) && deviation.aspect !== 'code',
  },
  {
    id: 'del-folder',
    ours: 'DEL makes no folder, and does without a lock where none can be made',
    go: 'makes the folder, or fails',
    reason: 'a pod must be able to go',
    shownBy: 'conformance',
  },
  {
    id: 'own-files',
    ours: 'DEL removes files that are named after addresses, in the folder of the network',
    go: "removes any file with the attachment's content, in folders below too",
    reason: 'a folder below may be that of another network',
    shownBy: 'conformance',
  },
  {
    id: 'check-previous',
    ours: 'CHECK also wants the addresses of `prevResult` that lie in the ranges to be those that are held',
    go: 'any address will do',
    reason: 'CHECK is worth its call',
    shownBy: 'conformance',
  },
  {
    id: 'code-io',
    ours: 'a file or folder that cannot be used has code 5 and is named',
    go: 'code 999',
    reason: 'it is not the configuration that is wrong',
    covers: (deviation) => hasOtherCode(deviation, 5),
  },
] as const satisfies readonly Difference[];

declare module 'vitest' {
  interface TestTags {
    readonly 'host-local': Tag<'host-local', typeof DIFFERENCES>;
  }
}
