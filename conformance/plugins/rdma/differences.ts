/** What rdma does in another way than Go's: the rows of its README, under "Differences". */
import type { Difference, Tag } from '../../contract/difference.ts';

export const DIFFERENCES = [
  {
    id: 'device-runtime',
    ours: '`runtimeConfig.deviceID` is taken when `deviceID` is empty',
    go: 'not read',
    reason: 'it works without multus',
    shownBy: 'vm',
  },
  {
    id: 'device-interface',
    ours: "without `deviceID` the kernel is asked for the interface's device",
    go: 'by the administrative hardware address of a VF only',
    reason: 'a NIC that is no VF has none',
    shownBy: 'vm',
  },
  {
    id: 'device-name',
    ours: 'a `deviceID` that is no PCI address and no name on the auxiliary bus is refused',
    go: 'becomes a part of a path',
    reason: '`..` leads anywhere',
    shownBy: 'vm',
  },
  {
    id: 'device-none',
    ours: 'no RDMA device: the message names driver and module; one that is in another namespace has code 11',
    go: '`no RDMA devices found`',
    reason: 'a person knows what to do',
    shownBy: 'vm',
  },
  {
    id: 'state-first',
    ours: 'the state is on the disk before the device moves',
    go: 'written after',
    reason: 'a kill in between leaves a device that nobody looks for',
    shownBy: 'vm',
  },
  {
    id: 'state-keys',
    ours: 'one more key in the state',
    go: 'four',
    reason: 'GC knows whose it is',
    shownBy: 'vm',
  },
  {
    id: 'state-broken',
    ours: 'DEL finds the device of a broken state by `deviceID`',
    go: 'success, and the device stays in the pod',
    reason: 'it comes back',
    shownBy: 'vm',
  },
  {
    id: 'add-again',
    ours: 'ADD succeeds when the pod has the device already',
    go: '`no RDMA devices found`',
    reason: 'an ADD that was killed can be repeated',
    shownBy: 'vm',
  },
  {
    id: 'add-lost',
    ours: 'when the answer to a move is lost, ADD looks where the device is, and goes on when it is in the pod',
    go: 'the device may stay in the pod',
    reason: 'nothing is left after an ADD that failed',
    shownBy: 'unit',
  },
  {
    id: 'old-result',
    ours: 'a result that its version cannot print is refused before anything is done',
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
    reason: 'they have no use here',
    shownBy: 'vm',
  },
  {
    id: 'del-netns',
    ours: 'DEL with an empty CNI_NETNS, or a namespace that has ended, forgets the state',
    go: 'empty: the state stays; ended: fails for ever',
    reason: 'the kernel has given the device back',
    shownBy: 'vm',
  },
  {
    id: 'del-back',
    ours: 'DEL succeeds when the device is not in the pod any more',
    go: 'fails for ever',
    reason: 'there is nothing to do',
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
    ours: 'DEL reads no more of the configuration than it needs',
    go: 'a wrong type anywhere fails DEL',
    reason: 'a pod must be able to go',
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
    reason: 'VERSION',
    shownBy: 'vm',
  },
  {
    id: 'about',
    ours: 'told what it is and how to try it when CNI_COMMAND is missing',
    go: 'an error of code 4',
    reason: 'somebody started it by hand',
    shownBy: 'unit',
  },
] as const satisfies readonly Difference[];

declare module 'vitest' {
  interface TestTags {
    readonly rdma: Tag<'rdma', typeof DIFFERENCES>;
  }
}
