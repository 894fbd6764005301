/** What host-device does in another way than Go's: the rows of its README, under "Differences". */
import { isDeepStrictEqual } from 'node:util';
import type { Difference, Tag } from '../../contract/difference.ts';
import type { Step } from '../../peers/compare.ts';
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
    id: 'device-id',
    ours: '`pciBusID` and `runtimeConfig.deviceID` must be names of devices',
    go: 'joined to a path whatever they are',
    reason: '`..` leads anywhere',
    covers: (deviation) =>
      isExit(deviation, 'ADD') &&
      onlyOursFailed(deviation) &&
      deviation.ours.code === 7 &&
      /is not a PCI address|neither a PCI address nor/.test(deviation.ours.message),
  },
  {
    id: 'dpdk-mode',
    ours: 'there is no key `DPDKMode`: the driver says what the device is',
    go: 'reads it, since nothing keeps it from doing so',
    reason: 'it is no part of the configuration',
    covers: ({ case: { conf } }) => typeof conf === 'object' && conf !== null && 'DPDKMode' in conf,
  },
  {
    id: 'altnames',
    ours: 'alternative names stay on the node while a pod has the device, and are its own again after DEL',
    go: 'they go with it: ADD or DEL fails when one is taken, and so does a later network of the pod that wants one',
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
    ours: '`hwaddr` prefers a device that can move, and of these the one that was born with the address; several are an error',
    go: "the first in the kernel's list",
    reason: 'a bridge has the address of one of its ports',
    shownBy: 'conformance',
  },
  {
    id: 'identity',
    ours: 'a device that was renamed in the pod, or has lost its alias, comes home',
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
    ours: 'DEL of a device that is back already, or that is nowhere, succeeds',
    go: '"Link not found"',
    reason: 'the specification says so',
    covers: (deviation) =>
      isExit(deviation, 'DEL') &&
      onlyGoFailed(deviation) &&
      /failed to find .*Link not found$/.test(deviation.go.message),
  },
  {
    id: 'del-foreign',
    ours: 'DEL leaves a link alone that ADD has not moved',
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
    ours: 'DEL succeeds when CNI_NETNS is gone: the device is looked for here, addresses are given back',
    go: 'fails, and nothing is given back',
    reason: 'a pod must be able to go',
    covers: (deviation) =>
      isExit(deviation, 'DEL') &&
      onlyGoFailed(deviation) &&
      /failed to open netns .* no such file/.test(deviation.go.message),
  },
  {
    id: 'empty-netns',
    ours: 'DEL without CNI_NETNS brings the device home from where ADD put it, and gives addresses back',
    go: 'does nothing',
    reason: 'addresses would leak',
    shownBy: 'conformance',
  },
  {
    id: 'left-behind',
    ours: 'a device that the kernel left here when its namespace died gets its name and all else back by DEL, by the next ADD or by GC',
    go: 'keeps the name that it had in the pod for ever',
    reason: 'it is lost otherwise',
    shownBy: 'conformance',
  },
  {
    id: 'del-lenient',
    ours: 'DEL needs neither a configuration that ADD would take nor the device in sysfs',
    go: 'the configuration is checked as in ADD',
    reason: 'a pod must be able to go',
    covers: (deviation) =>
      isExit(deviation, 'DEL') &&
      onlyGoFailed(deviation) &&
      /failed to load netconf|specify either|error with host device|DeviceID .* not found/.test(deviation.go.message),
  },
  {
    id: 'name-taken',
    ours: 'when the name is taken on the node by then, DEL fails with the device as it was, addresses too',
    go: 'the device is moved and back, and has lost its addresses',
    reason: 'the pod goes on',
    covers: (deviation) =>
      deviation.verb === 'DEL' &&
      deviation.aspect === 'pod' &&
      bothFailed(deviation) &&
      /is taken there/.test(deviation.ours.message),
  },
  {
    id: 'del-order',
    ours: 'DEL brings the device home before it gives addresses back, and does the second when the first failed',
    go: 'the other way round, stopping at a failure',
    reason: 'nobody else may get an address that is still in use',
    shownBy: 'conformance',
  },
  {
    id: 'l2-old-version',
    ours: 'ADD without `ipam` in version 0.1.0 or 0.2.0 is refused before anything is done',
    go: 'refused when everything is done, device left in the pod',
    reason: 'such a result cannot be printed',
    covers: (deviation) =>
      isState(deviation) &&
      bothFailed(deviation) &&
      deviation.ours.isUntouched &&
      /no valid IP|valid IP/i.test(deviation.go.message),
  },
  {
    id: 'undo',
    ours: 'after an ADD that failed the device is as it was before, and no address is held',
    go: 'the device stays in the pod',
    reason: 'the next ADD meets a clean node',
    covers: (deviation) => isState(deviation) && bothFailed(deviation) && deviation.ours.isUntouched,
  },
  {
    id: 'restore',
    ours: 'DEL makes the device what it was: up, addresses, routes, rules, MTU, hardware address, settings, master, alias; `restore: false` turns it off',
    go: 'its name only; it is down and without addresses, and has no alias',
    reason: 'a device is lent',
    covers: (deviation) => deviation.verb === 'DEL' && deviation.aspect === 'node' && deviation.ours.isUntouched,
  },
  {
    id: 'record',
    ours: 'what a device was is kept in a file below `dataDir` while a pod has it',
    go: "nothing but its name is kept, in the link's alias",
    reason: 'it cannot be restored otherwise',
    covers: ({ aspect, ours, go }) => aspect === 'store' && withoutRecords(ours) === withoutRecords(go),
  },
  {
    id: 'notify',
    ours: '`arp_notify` and `ndisc_notify` are set before a device with addresses goes up',
    go: 'not set',
    reason: 'neighbours learn at once where the address is, as from macvlan',
    covers: ({ aspect, ours, go }) =>
      aspect === 'sysctls' && isDeepStrictEqual(withoutNotify(ours.sysctls), withoutNotify(go.sysctls)),
  },
  {
    id: 'up-last',
    ours: 'the device goes up when it has its addresses; before the IPAM plugin is asked with `dhcp` only',
    go: 'up before the IPAM plugin is asked',
    reason: 'nothing is sent from an address that is not there yet',
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
    id: 'check-more',
    ours: 'CHECK also looks whether the device is the same, up and has its alias, and at routes by table, metric and interface',
    go: 'fewer, and routes of other tables never match',
    reason: 'CHECK is worth its call',
    covers: (deviation) =>
      isExit(deviation, 'CHECK') &&
      ((onlyOursFailed(deviation) &&
        /is down|alias|is not the device|cannot find route/.test(deviation.ours.message)) ||
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
    id: 'status-device',
    ours: 'STATUS looks for the device',
    go: 'asks IPAM only',
    reason: 'a node says early that it cannot serve',
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
