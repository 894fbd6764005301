/** What host-device does in another way than Go's: the rows of its README, under "Differences". */
import { isDeepStrictEqual } from 'node:util';
import type { Difference, Tag } from '../../contract/difference.ts';
import type { Step } from '../../peers/compare.ts';
import {
  bothFailed,
  failed,
  isDelOfNoNetns,
  isExit,
  isState,
  onlyGoFailed,
  onlyOursFailed,
  withoutMetrics,
} from '../../peers/deviations.ts';

export const DIFFERENCES = [
  {
    id: 'device-id',
    ours: '`pciBusID` and `runtimeConfig.deviceID` must be device names',
    go: 'anything, joined to a path',
    reason: '`..` leads anywhere',
    covers: (deviation) =>
      isExit(deviation, 'ADD') &&
      onlyOursFailed(deviation) &&
      deviation.ours.code === 7 &&
      /is not a PCI address|neither a PCI address nor/.test(deviation.ours.message),
  },
  {
    id: 'dpdk-mode',
    ours: 'no key `DPDKMode`: the driver tells',
    go: 'read from the configuration by accident',
    reason: 'not a documented option',
    covers: ({ case: { conf } }) => typeof conf === 'object' && conf !== null && 'DPDKMode' in conf,
  },
  {
    id: 'altnames',
    ours: 'alternative names stay on the node while a pod has the device, and are restored by DEL',
    go: 'move with it: ADD or DEL fails when one is taken, and so does a later network of the pod that wants one',
    reason: 'udev gives every device some',
    covers: (deviation) =>
      ((isExit(deviation, 'ADD') || deviation.verb === 'DEL') &&
        onlyGoFailed(deviation) &&
        /file exists$/.test(deviation.go.message)) ||
      (deviation.aspect === 'pod' &&
        isDeepStrictEqual(withoutAltNames(deviation.ours.pod), withoutAltNames(deviation.go.pod))),
  },
  {
    id: 'hwaddr-choice',
    ours: '`hwaddr` prefers devices that can move, then the one whose permanent address it is; an ambiguous match is an error',
    go: "the first in the kernel's list",
    reason: 'a bridge has the address of one of its ports',
    shownBy: 'conformance',
  },
  {
    id: 'identity',
    ours: 'a device that was renamed in the pod, or lost its alias, is moved back',
    go: 'DEL fails for ever, or gives it a wrong name',
    reason: 'programs in the pod may do so',
    covers: (deviation) =>
      deviation.verb === 'DEL' &&
      onlyGoFailed(deviation) &&
      deviation.ours.isUntouched &&
      deviation.go.pod.links.length > deviation.ours.pod.links.length &&
      /Link not found$/.test(deviation.go.message),
  },
  {
    id: 'second-del',
    ours: 'DEL succeeds for a device that is back already or nowhere',
    go: '"Link not found"',
    reason: 'the specification says so',
    covers: (deviation) =>
      isExit(deviation, 'DEL') &&
      onlyGoFailed(deviation) &&
      /failed to find .*Link not found$/.test(deviation.go.message),
  },
  {
    id: 'del-foreign',
    ours: 'DEL leaves alone a link that ADD did not move',
    go: 'DEL fails: no alias',
    reason: 'it is not ours',
    covers: (deviation) =>
      isExit(deviation, 'DEL') &&
      onlyGoFailed(deviation) &&
      deviation.ours.isUntouched &&
      /alias is not set/.test(deviation.go.message),
  },
  {
    id: 'vanished',
    ours: 'DEL succeeds when CNI_NETNS is gone: it looks for the device on the node and releases the addresses',
    go: 'fails, releases nothing',
    reason: 'pod deletion must not hang',
    covers: (deviation) =>
      isExit(deviation, 'DEL') &&
      onlyGoFailed(deviation) &&
      /failed to open netns .* no such file/.test(deviation.go.message),
  },
  {
    id: 'empty-netns',
    ours: 'DEL without CNI_NETNS moves the device back from where ADD put it, and releases its addresses',
    go: 'does nothing',
    reason: 'addresses would leak',
    shownBy: 'conformance',
  },
  {
    id: 'left-behind',
    ours: 'a device that the kernel returned when its namespace died is restored by DEL, GC or the next ADD',
    go: 'keeps its name from the pod for ever',
    reason: 'it would be lost',
    shownBy: 'conformance',
  },
  {
    id: 'del-lenient',
    ours: 'DEL needs neither a valid configuration nor the device in sysfs',
    go: 'validates as ADD does',
    reason: 'pod deletion must not hang',
    covers: (deviation) =>
      isExit(deviation, 'DEL') &&
      onlyGoFailed(deviation) &&
      /failed to load netconf|specify either|error with host device|DeviceID .* not found/.test(deviation.go.message),
  },
  {
    id: 'del-no-netns',
    ours: 'DEL succeeds when CNI_NETNS is no network namespace and no other has the device',
    go: 'fails',
    reason: 'a file is what a lost mount leaves, and a pod must be able to go',
    covers: isDelOfNoNetns,
  },
  {
    id: 'name-taken',
    ours: 'if the name has been taken on the node, DEL fails and the device keeps its addresses in the pod',
    go: 'the device is moved out and back, and loses its addresses',
    reason: 'the pod keeps working',
    covers: (deviation) =>
      deviation.verb === 'DEL' &&
      deviation.aspect === 'pod' &&
      bothFailed(deviation) &&
      /is taken there/.test(deviation.ours.message),
  },
  {
    id: 'del-order',
    ours: 'DEL releases addresses after the device has left the pod',
    go: 'before, and stops at a failure',
    reason: 'an address in use must not be given to another pod',
    shownBy: 'conformance',
  },
  {
    id: 'l2-old-version',
    ours: 'ADD without `ipam` in version 0.1.0 or 0.2.0 is refused up front',
    go: 'refused at the end, with the device left in the pod',
    reason: 'the result cannot be expressed',
    covers: (deviation) =>
      isState(deviation) &&
      bothFailed(deviation) &&
      deviation.ours.isUntouched &&
      /no valid IP|valid IP/i.test(deviation.go.message),
  },
  {
    id: 'undo',
    ours: 'a failed ADD restores the device and releases its addresses',
    go: 'the device stays in the pod',
    reason: 'the next ADD finds a clean node',
    covers: (deviation) => isState(deviation) && bothFailed(deviation) && deviation.ours.isUntouched,
  },
  {
    id: 'restore',
    ours: 'DEL restores the device: up, addresses, routes, rules, MTU, hardware address, settings, master, alias; `restore: false` turns it off',
    go: 'only its name; it is down, without addresses and alias',
    reason: 'the device is only lent to the pod',
    covers: (deviation) => deviation.verb === 'DEL' && deviation.aspect === 'node' && deviation.ours.isUntouched,
  },
  {
    id: 'record',
    ours: "the device's state is kept in a file below `dataDir` while a pod has it",
    go: "only its name, in the link's alias",
    reason: 'needed to restore it',
    covers: ({ aspect, ours, go }) => aspect === 'store' && withoutRecords(ours) === withoutRecords(go),
  },
  {
    id: 'notify',
    ours: '`arp_notify` and `ndisc_notify` are set before a device with addresses goes up',
    go: 'not set',
    reason: 'neighbours learn the new address at once, as with macvlan',
    covers: ({ aspect, ours, go }) =>
      aspect === 'sysctls' && isDeepStrictEqual(withoutNotify(ours.sysctls), withoutNotify(go.sysctls)),
  },
  {
    id: 'up-last',
    ours: 'the device goes up after it has its addresses; before the IPAM call only with `dhcp`',
    go: 'up before the IPAM call',
    reason: 'nothing is sent before the address is there',
    shownBy: 'conformance',
  },
  {
    id: 'dad',
    ours: 'waits for duplicate address detection whenever an IPv6 address was added',
    go: 'only when there is an IPv6 gateway',
    reason: 'the pod can use its address as soon as it starts',
    shownBy: 'conformance',
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
    reason: 'the meaning is clear',
    covers: (deviation) =>
      isExit(deviation, 'ADD') &&
      onlyGoFailed(deviation) &&
      /failed to add route .*: invalid argument/.test(deviation.go.message),
  },
  {
    id: 'route-range',
    ours: "a route's negative or too large number is refused",
    go: 'ignored, and echoed in the result',
    reason: 'typos show at once',
    covers: (deviation) =>
      isExit(deviation, 'ADD') &&
      onlyOursFailed(deviation) &&
      /is not a whole number from 0 to/.test(deviation.ours.message),
  },
  {
    id: 'check-more',
    ours: 'CHECK also verifies that it is the same device, that it is up and has its alias, and compares routes by table, metric and interface',
    go: 'less; routes of other tables never match',
    reason: 'CHECK should find faults',
    covers: (deviation) =>
      isExit(deviation, 'CHECK') &&
      ((onlyOursFailed(deviation) &&
        /is down|alias|is not the device|cannot find route/.test(deviation.ours.message)) ||
        (onlyGoFailed(deviation) && /^Expected Route .* not found in routing table$/.test(deviation.go.message))),
  },
  {
    id: 'check-slash-32',
    ours: 'CHECK does not expect a connected route',
    go: 'fails on a /32 address',
    reason: 'there is none for a /32',
    covers: (deviation) =>
      isExit(deviation, 'CHECK') && onlyGoFailed(deviation) && /Failed to find Gateway/.test(deviation.go.message),
  },
  {
    id: 'status-device',
    ours: 'STATUS looks for the device',
    go: 'only asks the IPAM plugin',
    reason: 'the node reports early that it cannot serve',
    covers: (deviation) => isExit(deviation, 'STATUS') && onlyOursFailed(deviation) && deviation.ours.code === 50,
  },
] as const satisfies readonly Difference[];

declare module 'vitest' {
  interface TestTags {
    readonly 'host-device': Tag<'host-device', typeof DIFFERENCES>;
  }
}

/** What a device was, and the folder for it. */
function withoutRecords({ store }: Step): string {
  return JSON.stringify(Object.entries(store).filter(([name]) => !name.startsWith('records/')));
}

function withoutNotify(sysctls: Step['sysctls']): object {
  return Object.fromEntries(Object.entries(sysctls).filter(([name]) => !/(arp|ndisc)_notify$/.test(name)));
}

/** Links without alternative names: those of a device stay on the node. */
function withoutAltNames({ links, ...others }: Step['pod']): unknown {
  return [links.map(({ altnames: _, ...link }) => link), others];
}
