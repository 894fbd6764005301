/** What rdma does in another way than Go's: the rows of its README, under "Differences". */
import type { Difference, Tag } from '../../contract/difference.ts';

export const DIFFERENCES = [
  {
    id: 'device-runtime',
    ours: '`runtimeConfig.deviceID` is used when `deviceID` is empty',
    go: 'not read',
    reason: 'it works without multus',
    shownBy: 'vm',
  },
  {
    id: 'device-interface',
    ours: "without `deviceID`, the kernel reports the interface's device",
    go: "found only by a VF's administrative hardware address",
    reason: 'a NIC that is not a VF has none',
    shownBy: 'vm',
  },
  {
    id: 'device-name',
    ours: 'a `deviceID` that is neither a PCI address nor a name on the auxiliary bus is refused',
    go: 'becomes part of a path',
    reason: '`..` leads anywhere',
    shownBy: 'vm',
  },
  {
    id: 'device-none',
    ours: 'without an RDMA device the message names driver and module; a device in another namespace gives code 11',
    go: '`no RDMA devices found`',
    reason: 'says what to do',
    shownBy: 'vm',
  },
  {
    id: 'state-first',
    ours: 'the state is on disk before the device moves',
    go: 'written after',
    reason: 'a kill in between would orphan the device',
    shownBy: 'vm',
  },
  {
    id: 'state-keys',
    ours: 'one more key in the state',
    go: 'four',
    reason: 'GC needs the owner',
    shownBy: 'vm',
  },
  {
    id: 'state-broken',
    ours: 'with a corrupt state, DEL finds the device by `deviceID`',
    go: 'success, but the device stays in the pod',
    reason: 'the device is returned',
    shownBy: 'vm',
  },
  {
    id: 'add-again',
    ours: 'ADD succeeds when the pod has the device already',
    go: '`no RDMA devices found`',
    reason: 'a killed ADD can be repeated',
    shownBy: 'vm',
  },
  {
    id: 'add-lost',
    ours: 'if the answer to a move is lost, ADD checks where the device is, and continues if it is in the pod',
    go: 'the device may stay in the pod',
    reason: 'a failed ADD leaves nothing behind',
    shownBy: 'unit',
  },
  {
    id: 'old-result',
    ours: 'a result that the version cannot express is refused up front',
    go: 'device moved, state left',
    reason: '',
    shownBy: 'vm',
  },
  {
    id: 'infiniband',
    ours: 'refused for an InfiniBand interface',
    go: 'the kernel deletes the interface',
    reason: 'ib-sriov has `rdmaIsolation` for that',
    shownBy: 'vm',
  },
  {
    id: 'cni-args',
    ours: 'not read',
    go: 'an unknown key or `Debug` fails ADD and DEL',
    reason: 'not needed',
    shownBy: 'vm',
  },
  {
    id: 'del-netns',
    ours: 'DEL with an empty CNI_NETNS or a dead namespace deletes the state',
    go: 'empty: the state stays; dead: fails for ever',
    reason: 'the kernel has returned the device',
    shownBy: 'vm',
  },
  {
    id: 'del-back',
    ours: 'DEL succeeds when the device is not in the pod any more',
    go: 'fails for ever',
    reason: 'nothing to do',
    shownBy: 'vm',
  },
  {
    id: 'del-renamed',
    ours: 'DEL finds a device that the pod has renamed',
    go: 'fails for ever',
    reason: '',
    shownBy: 'vm',
  },
  {
    id: 'del-lenient',
    ours: 'DEL reads only what it needs of the configuration',
    go: 'a wrong type anywhere fails DEL',
    reason: 'pod deletion must not hang',
    shownBy: 'vm',
  },
  {
    id: 'check',
    ours: 'work',
    go: 'CHECK does nothing, STATUS and GC are not there',
    reason: 'nothing leaks, and a node says early that it cannot serve',
    shownBy: 'vm',
  },
  {
    id: 'status',
    ours: 'work',
    go: 'CHECK does nothing, STATUS and GC are not there',
    reason: 'nothing leaks, and a node says early that it cannot serve',
    shownBy: 'vm',
  },
  {
    id: 'gc',
    ours: 'work',
    go: 'CHECK does nothing, STATUS and GC are not there',
    reason: 'nothing leaks, and a node says early that it cannot serve',
    shownBy: 'vm',
  },
  {
    id: 'quiet',
    ours: 'no log unless `args.cni.debug`',
    go: 'a line at each call',
    reason: '',
    shownBy: 'vm',
  },
  {
    id: 'no-flags',
    ours: 'none',
    go: '`-v`, `-version`, `--version`',
    reason: 'VERSION does this',
    shownBy: 'vm',
  },
  {
    id: 'about',
    ours: 'without CNI_COMMAND it says what it is and how to try it',
    go: 'an error of code 4',
    reason: 'it was started by hand',
    shownBy: 'unit',
  },
] as const satisfies readonly Difference[];

declare module 'vitest' {
  interface TestTags {
    readonly rdma: Tag<'rdma', typeof DIFFERENCES>;
  }
}
