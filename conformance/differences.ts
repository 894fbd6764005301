/**
 * What our plugins do in another way than Go's, on purpose. A comparison that finds anything else fails; so does one of
 * these that no case shows. Each has its row in a README, under "Differences", with the same id.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Deviation, Step } from './compare.ts';
import type { Difference } from './difference.ts';
import { DEVICE_DIFFERENCES } from './differences-devices.ts';

export const DIFFERENCES: readonly Difference[] = [
  ...DEVICE_DIFFERENCES,
  {
    id: 'mac-multicast',
    plugin: 'macvlan',
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
    plugin: 'macvlan',
    ours: 'the hardware address is made by the plugin: random, locally administered',
    go: 'made by the kernel',
    reason: "systemd's persistent policy gives cloned nodes equal addresses",
    test: ['macvlan-peer.test.ts', 'makes the hardware address itself'],
  },
  {
    id: 'dad',
    plugin: 'macvlan',
    ours: 'waits for duplicate address detection whenever an IPv6 address was added',
    go: 'only when there is an IPv6 gateway',
    reason: 'a pod that starts can use its address',
    test: ['macvlan-peer.test.ts', 'waits until an IPv6 address without gateway can be used'],
  },
  {
    id: 'dhcp-up',
    plugin: 'macvlan',
    ours: 'with `dhcp` the link is up before the IPAM plugin is asked',
    go: 'the daemon must do it',
    reason: '"network is down"',
    test: ['macvlan-peer.test.ts', 'has the link up before it asks dhcp'],
  },
  {
    id: 'code-configuration',
    plugin: 'all',
    ours: 'a fault in the configuration has code 7 and names key and value',
    go: 'code 999',
    reason: 'a user can act on it',
    covers: (deviation) => hasOtherCode(deviation, 7),
  },
  {
    id: 'code-cni-args',
    plugin: 'all',
    ours: 'malformed CNI_ARGS have code 4',
    go: 'code 999',
    reason: 'it is the environment that is wrong',
    covers: (deviation) => hasOtherCode(deviation, 4) && /CNI_ARGS/.test(deviation.ours.message),
  },
  {
    id: 'code-interface-name',
    plugin: 'all',
    ours: 'an interface name with a "%" has code 4',
    go: 'an interface of another name is left',
    reason: 'the kernel takes it for a pattern',
    covers: ({ ours, aspect }) =>
      ours.code === 4 && /pattern/.test(ours.message) && ours.isUntouched && aspect !== 'stdout',
  },
  {
    id: 'code-netns',
    plugin: 'all',
    ours: 'a CNI_NETNS that is no network namespace has code 8',
    go: 'code 999',
    reason: 'a lost bind mount is a trouble of its own',
    covers: (deviation) => hasOtherCode(deviation, 8),
  },
  {
    id: 'own-netns',
    plugin: 'all',
    ours: "a namespace that is the plugin's own is refused before anything is done, with one document on stdout",
    go: 'the work is done, then refused, with two documents',
    reason: 'runtimes parse all of stdout',
    covers: ({ ours, go, aspect }) => ours.code === 8 && ours.isUntouched && aspect !== 'exit' && failed(go),
  },
  {
    id: 'code-of-delegate',
    plugin: 'all',
    ours: 'the error code of an IPAM plugin or delegate reaches the runtime',
    go: 'sometimes 999',
    reason: 'the runtime can tell "try again later" from "broken"',
    test: ['bad-macvlan.ts', 'an IPAM plugin that asks for patience'],
  },
  {
    id: 'del-goes-on',
    plugin: 'all',
    ours: 'DEL goes on after a failure and reports all of them',
    go: 'stops at the first',
    reason: 'what can be released is released',
    test: ['multus.test.ts', 'goes on to the other plugins of a list, and to other networks, when one fails'],
  },
  {
    id: 'gc-and-status',
    plugin: 'all',
    ours: 'GC and STATUS are done by every plugin',
    go: 'mostly empty',
    reason: 'nothing leaks, and a node says early that it cannot serve',
    test: ['macvlan.test.ts', "['STATUS', 'GC']"],
  },
  {
    id: 'one-process',
    plugin: 'all',
    ours: 'delegates of the same build run inside the calling process',
    go: 'every delegate is a process',
    reason: 'start-up is most of the time; `BRAID_EXEC_DELEGATES=1` turns it off',
    test: ['multus-delegates.test.ts', '8 networks take one process'],
  },
  {
    id: 'del-lenient',
    plugin: 'macvlan',
    ours: 'DEL reads no more of the configuration than it needs',
    go: 'a wrong type anywhere fails DEL',
    reason: 'a pod must be able to go',
    covers: (deviation) =>
      isExit(deviation, 'DEL') && onlyGoFailed(deviation) && /failed to load netConf: json/.test(deviation.go.message),
  },
  {
    id: 'route-range',
    plugin: 'macvlan',
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
    plugin: 'macvlan',
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
    plugin: 'macvlan',
    ours: 'DEL deletes the link before it gives addresses back, and does the second when the first failed',
    go: 'the other way round, stopping at a failure',
    reason: 'nobody else may get an address that is still in use',
    covers: (deviation) =>
      deviation.verb === 'DEL' && isState(deviation) && bothFailed(deviation) && deviation.ours.isUntouched,
  },
  {
    id: 'default-parent',
    plugin: 'macvlan',
    ours: 'the default route with the lowest metric, IPv4 first; of several next hops the first that is up',
    go: "the first in the kernel's order; fails on several next hops",
    reason: "the node's own choice",
    covers: (deviation) =>
      isExit(deviation, 'ADD') &&
      onlyGoFailed(deviation) &&
      deviation.go.message === 'invalid argument' &&
      deviation.case.title.includes('default route of several ways'),
  },
  {
    id: 'l2-old-version',
    plugin: 'macvlan',
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
    plugin: 'macvlan',
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
    plugin: 'macvlan',
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
    plugin: 'macvlan',
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
    plugin: 'macvlan',
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
    plugin: 'macvlan',
    ours: 'CHECK does not ask for a connected route',
    go: 'fails on a /32 address',
    reason: 'there is none for a /32',
    covers: (deviation) =>
      isExit(deviation, 'CHECK') && onlyGoFailed(deviation) && /Failed to find Gateway/.test(deviation.go.message),
  },
  {
    id: 'status-parent',
    plugin: 'macvlan',
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
    id: 'device-id',
    plugin: 'host-device',
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
    plugin: 'host-device',
    ours: 'there is no key `DPDKMode`: the driver says what the device is',
    go: 'reads it, since nothing keeps it from doing so',
    reason: 'it is no part of the configuration',
    covers: ({ case: { conf } }) => typeof conf === 'object' && conf !== null && 'DPDKMode' in conf,
  },
  {
    id: 'altnames',
    plugin: 'host-device',
    ours: 'alternative names that collide in the pod or on the node are dropped, and are there again after DEL',
    go: 'ADD or DEL fails',
    reason: 'udev gives every device some',
    covers: (deviation) =>
      (isExit(deviation, 'ADD') || deviation.verb === 'DEL') &&
      onlyGoFailed(deviation) &&
      /file exists$/.test(deviation.go.message),
  },
  {
    id: 'identity',
    plugin: 'host-device',
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
    plugin: 'host-device',
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
    plugin: 'host-device',
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
    plugin: 'host-device',
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
    plugin: 'host-device',
    ours: 'DEL without CNI_NETNS brings the device home from where ADD put it, and gives addresses back',
    go: 'does nothing',
    reason: 'addresses would leak',
    test: ['host-device.test.ts', 'DEL without CNI_NETNS brings the device home and gives the address back'],
  },
  {
    id: 'left-behind',
    plugin: 'host-device',
    ours: 'a device that the kernel left here when its namespace died gets its name and all else back by DEL, by the next ADD or by GC',
    go: 'keeps the name that it had in the pod for ever',
    reason: 'it is lost otherwise',
    test: ['host-device.test.ts', 'DEL gives a device that the kernel left as %s all that it had'],
  },
  {
    id: 'del-lenient',
    plugin: 'host-device',
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
    plugin: 'host-device',
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
    plugin: 'host-device',
    ours: 'DEL brings the device home before it gives addresses back, and does the second when the first failed',
    go: 'the other way round, stopping at a failure',
    reason: 'nobody else may get an address that is still in use',
    test: ['host-device-peer.test.ts', 'brings the device home first, and does so when IPAM fails'],
  },
  {
    id: 'l2-old-version',
    plugin: 'host-device',
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
    plugin: 'host-device',
    ours: 'after an ADD that failed the device is as it was before, and no address is held',
    go: 'the device stays in the pod',
    reason: 'the next ADD meets a clean node',
    covers: (deviation) => isState(deviation) && bothFailed(deviation) && deviation.ours.isUntouched,
  },
  {
    id: 'restore',
    plugin: 'host-device',
    ours: 'DEL makes the device what it was: up, addresses, routes, rules, MTU, hardware address, settings, master, alias; `restore: false` turns it off',
    go: 'its name only; it is down and without addresses, and has no alias',
    reason: 'a device is lent',
    covers: (deviation) => deviation.verb === 'DEL' && deviation.aspect === 'node' && deviation.ours.isUntouched,
  },
  {
    id: 'record',
    plugin: 'host-device',
    ours: 'what a device was is kept in a file below `dataDir` while a pod has it',
    go: "nothing but its name is kept, in the link's alias",
    reason: 'it cannot be restored otherwise',
    covers: ({ aspect, ours, go }) => aspect === 'store' && withoutRecords(ours) === withoutRecords(go),
  },
  {
    id: 'notify',
    plugin: 'host-device',
    ours: '`arp_notify` and `ndisc_notify` are set before a device with addresses goes up',
    go: 'not set',
    reason: 'neighbours learn at once where the address is, as from macvlan',
    covers: ({ aspect, ours, go }) =>
      aspect === 'sysctls' && isDeepStrictEqual(withoutNotify(ours.sysctls), withoutNotify(go.sysctls)),
  },
  {
    id: 'up-last',
    plugin: 'host-device',
    ours: 'the device goes up when it has its addresses; before the IPAM plugin is asked with `dhcp` only',
    go: 'up before the IPAM plugin is asked',
    reason: 'nothing is sent from an address that is not there yet',
    test: ['host-device-peer.test.ts', 'sets the device up'],
  },
  {
    id: 'dad',
    plugin: 'host-device',
    ours: 'waits for duplicate address detection whenever an IPv6 address was added',
    go: 'only when there is an IPv6 gateway',
    reason: 'a pod that starts can use its address',
    test: ['host-device-peer.test.ts', 'waits until an IPv6 address without gateway can be used'],
  },
  {
    id: 'route-attributes',
    plugin: 'host-device',
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
    plugin: 'host-device',
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
    plugin: 'host-device',
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
    plugin: 'host-device',
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
    plugin: 'host-device',
    ours: 'CHECK does not ask for a connected route',
    go: 'fails on a /32 address',
    reason: 'there is none for a /32',
    covers: (deviation) =>
      isExit(deviation, 'CHECK') && onlyGoFailed(deviation) && /Failed to find Gateway/.test(deviation.go.message),
  },
  {
    id: 'status-device',
    plugin: 'host-device',
    ours: 'STATUS looks for the device',
    go: 'asks IPAM only',
    reason: 'a node says early that it cannot serve',
    covers: (deviation) => isExit(deviation, 'STATUS') && onlyOursFailed(deviation) && deviation.ours.code === 50,
  },
  {
    id: 'code',
    plugin: 'multus',
    ours: 'the code of the delegate, 7 for a configuration that cannot be used',
    go: '999',
    reason: 'a runtime can tell what may be tried again',
    covers: (deviation) => deviation.aspect === 'code' && bothFailed(deviation) && deviation.go.code === 999,
  },
  {
    id: 'undo',
    plugin: 'multus',
    ours: 'nothing is left after an ADD that failed, the scratch file neither; it stays when something could not be deleted',
    go: 'the scratch file stays; nothing is deleted after a late failure',
    reason: 'the next ADD meets a clean node, and DEL finds what it needs',
    covers: (deviation) =>
      isState(deviation) && deviation.verb === 'ADD' && bothFailed(deviation) && deviation.ours.isUntouched,
  },
  {
    id: 'del-lenient',
    plugin: 'multus',
    ours: 'DEL reads folders, logging and readiness file only, and no malformed CNI_ARGS or `runtimeConfig` stops it',
    go: 'the whole configuration must load',
    reason: 'a pod must be able to go',
    covers: (deviation) =>
      deviation.verb === 'DEL' &&
      onlyGoFailed(deviation) &&
      /LoadNetConf|getting k8s args|ConfFromBytes/.test(deviation.go.message),
  },
  {
    id: 'undo',
    plugin: 'multus',
    ours: 'DEL after an ADD that failed finds nothing to do',
    go: 'DEL fails once more on what the scratch file still has',
    reason: 'it was taken back',
    covers: (deviation) =>
      deviation.verb === 'DEL' &&
      onlyGoFailed(deviation) &&
      deviation.ours.isUntouched &&
      /^DelegateDel: /.test(deviation.go.message),
  },
  {
    id: 'failed-name',
    plugin: 'multus',
    ours: 'a network whose interface exists already is not deleted',
    go: 'deleted like the others',
    reason: 'the interface is not ours',
    covers: (deviation) =>
      isState(deviation) &&
      deviation.verb === 'ADD' &&
      bothFailed(deviation) &&
      /already exists/.test(deviation.ours.message) &&
      deviation.ours.pod.links.length > deviation.go.pod.links.length,
  },
  {
    id: 'list-switches',
    plugin: 'multus',
    ours: '`disableCheck`, `disableGC` and `loadOnlyInlinedPlugins` of a list may be words',
    go: 'booleans only, where libcni takes words too',
    reason: 'the same list works everywhere',
    covers: (deviation) =>
      isExit(deviation, 'ADD') &&
      onlyGoFailed(deviation) &&
      /cannot unmarshal string into Go struct field NetworkConfigList\.|error unmarshalling delegate conflist: json: cannot unmarshal string/.test(
        deviation.go.message,
      ),
  },
  {
    id: 'cluster-network-alone',
    plugin: 'multus',
    ours: '`clusterNetwork` and `defaultNetworks` that are paths need no Kubernetes',
    go: 'they do',
    reason: 'a path is a path',
    covers: (deviation) =>
      isExit(deviation, 'ADD') &&
      onlyGoFailed(deviation) &&
      /must have either Kubernetes config or delegates/.test(deviation.go.message),
  },
  {
    id: 'empty-prev-result',
    plugin: 'multus',
    ours: '`prevResult` without a version has that of the configuration, as everywhere',
    go: 'an empty one fails the call',
    reason: 'it is not used',
    covers: (deviation) =>
      isExit(deviation, 'ADD') &&
      onlyGoFailed(deviation) &&
      /could not parse prevResult: .* unmarshalled CNIVersion is ""/.test(deviation.go.message),
  },
  {
    id: 'scratch-form',
    plugin: 'multus',
    ours: 'the scratch file has no `CNINetworkConfigList`',
    go: 'has it up to 4.3.0',
    reason: 'nobody needs it, and later versions have it no more',
    covers: (deviation) =>
      deviation.aspect === 'store' && withoutConfigList(deviation.ours) === withoutConfigList(deviation.go),
  },
  {
    id: 'look-first',
    plugin: 'multus',
    ours: 'every interface and plugin is looked up before anything is done',
    go: 'when its network runs',
    reason: 'nothing to take back',
    test: ['multus-faults.test.ts', 'looks for every interface and plugin before anything is done'],
  },
  {
    id: 'single-description',
    plugin: 'multus',
    ours: '`plugin type="…" name="…" failed (add)` for a delegate of one plugin too',
    go: 'for lists only',
    reason: 'it says which one',
    test: ['multus-faults.test.ts', 'names the plugin that failed, of a single delegate too'],
  },
  {
    id: 'no-plugins',
    plugin: 'multus',
    ours: '`plugins: []`, nulls and wrong types are refused with key and value',
    go: 'some crash',
    reason: 'nobody can see what is wrong in a crash',
    test: ['bad-multus.ts', 'a delegate with plugins'],
  },
  {
    id: 'name-first',
    plugin: 'multus',
    ours: 'a delegate without a usable name is refused before any runs',
    go: 'when its turn comes',
    reason: 'nothing to take back',
    test: ['bad-multus.ts', 'a delegate of name'],
  },
  {
    id: 'self',
    plugin: 'multus',
    ours: 'a delegate `multus` or `multus-shim` is refused, and passed over by DEL',
    go: 'calls itself without end',
    reason: 'it happened',
    test: ['bad-multus.ts', 'a delegate that is multus'],
  },
  {
    id: 'scratch-atomic',
    plugin: 'multus',
    ours: 'the scratch file is replaced in one step and synced',
    go: 'written in place',
    reason: 'a crash leaves no half file',
    test: ['multus.test.ts', 'replaces the scratch file in one step'],
  },
  {
    id: 'scratch-corrupt',
    plugin: 'multus',
    ours: 'DEL falls back to the result cache and the configured networks',
    go: 'success, nothing deleted',
    reason: 'addresses leaked',
    test: ['multus.test.ts', 'deletes everything when the scratch file is corrupt'],
  },
  {
    id: 'scratch-missing',
    plugin: 'multus',
    ours: 'DEL falls back to the result cache',
    go: 'success, nothing deleted',
    reason: 'addresses leaked',
    test: ['multus.test.ts', 'deletes everything when the scratch file is missing'],
  },
  {
    id: 'del-chain',
    plugin: 'multus',
    ours: 'DEL goes on to the other plugins of a list when one fails',
    go: 'stops there',
    reason: 'what can be released is',
    test: ['multus.test.ts', 'goes on to the other plugins of a list'],
  },
  {
    id: 'add-together',
    plugin: 'multus',
    ours: "ADDs of this build's plugins overlap: each starts when the one before waits, or is done",
    go: 'one after another',
    reason: 'one lock, read and sync of the address store, one wait for duplicate IPv6 addresses, not sixteen',
    test: [
      'multus-delegates.test.ts',
      'reserves the addresses of its own plugins in one step, and makes their links in order',
    ],
  },
  {
    id: 'del-together',
    plugin: 'multus',
    ours: "DELs of this build's plugins overlap",
    go: 'one after another',
    reason: 'one grace period of the kernel, not sixteen',
    test: ['multus-delegates.test.ts', 'deletes the links of its own plugins with few requests'],
  },
  {
    id: 'del-readiness',
    plugin: 'multus',
    ours: 'DEL never fails because of the readiness file',
    go: 'fails when it cannot be examined',
    reason: 'it does not need it',
    test: ['multus.test.ts', 'DEL does not care for the readiness file'],
  },
  {
    id: 'check-all',
    plugin: 'multus',
    ours: 'CHECK checks what was attached, whatever it came from, and reports all failures',
    go: 'the delegates of the configuration, up to the first failure',
    reason: 'all of it is the attachment',
    test: ['multus.test.ts', 'reports every network that CHECK finds wrong'],
  },
  {
    id: 'gc',
    plugin: 'multus',
    ours: 'GC collects what the runtime does not name, from scratch files and result cache, and forwards to every delegate',
    go: 'takes every cached attachment for valid, and forwards to the first',
    reason: '300,000 files on one node',
    test: ['multus.test.ts', 'GC deletes what containers left that are not named'],
  },
  {
    id: 'prev-result',
    plugin: 'multus',
    ours: 'keys that the specification does not know stay in `prevResult` and in the result cache; `prevResult` has its keys sorted',
    go: 'dropped; order of the structure for 0.3.1 and 0.4.0',
    reason: 'plugins may speak to each other',
    test: ['multus.test.ts', 'keeps keys of a result that it does not know'],
  },
  {
    id: 'empty-old-result',
    plugin: 'multus',
    ours: 'a first network of version 0.1.0 or 0.2.0 without address fails',
    go: 'printed',
    reason: 'such a result is none',
    test: ['multus-faults.test.ts', 'a first network of an old version without address fails'],
  },
  {
    id: 'log-options',
    plugin: 'multus',
    ours: '`logOptions` are obeyed, a line is one write',
    go: 'ignored by a process that lives for one call, three writes',
    reason: 'logs that grow without end',
    test: ['multus.test.ts', 'rotates its log'],
  },
  {
    id: 'confdir-name',
    plugin: 'multus',
    ours: 'a network by name needs Kubernetes',
    go: 'also looked up in `confDir`',
    reason: 'comes with it',
    test: ['bad-multus.ts', 'a network by name'],
  },
  {
    id: 'readiness-code',
    plugin: 'multus',
    ours: '11, for STATUS 50',
    go: '999',
    reason: 'both pass',
    test: ['multus.test.ts', 'waits for the readiness file'],
  },
  {
    id: 'file',
    plugin: 'whereabouts',
    ours: 'keeps reservations on the node',
    go: 'has no such datastore and ignores `datastore`',
    reason: 'a single node needs no cluster',
    test: ['whereabouts.test.ts', 'gives, gives again, takes back'],
  },
  {
    id: 'flat-file',
    plugin: 'whereabouts',
    ours: 'may be missing when the configuration names its datastore',
    go: 'must exist',
    reason: 'nothing is missing then',
    test: ['whereabouts.test.ts', 'comes from the flat file where the configuration has nothing'],
  },
  {
    id: 'atomic',
    plugin: 'whereabouts',
    ours: 'several ranges: all or none',
    go: 'earlier ones stay reserved when a later one fails',
    reason: 'nothing leaks',
    test: ['whereabouts.test.ts', 'all or none'],
  },
  {
    id: 'del-all',
    plugin: 'whereabouts',
    ours: 'DEL visits every range',
    go: 'stops at the first that holds nothing',
    reason: 'dual-stack attachments leaked',
    test: ['whereabouts.test.ts', 'all ranges of an attachment, and only those'],
  },
  {
    id: 'del-errors',
    plugin: 'whereabouts',
    ours: 'DEL fails when nothing could be freed, so the runtime tries again',
    go: 'reports success',
    reason: 'nothing leaks',
    test: ['whereabouts.test.ts', 'and says so when it cannot'],
  },
  {
    id: 'del-lenient',
    plugin: 'whereabouts',
    ours: 'DEL needs only where the store is',
    go: 'any fault of the configuration fails DEL',
    reason: 'a pod can always go',
    test: ['whereabouts.test.ts', 'whatever else is wrong with the configuration'],
  },
  {
    id: 'del-creates',
    plugin: 'whereabouts',
    ours: 'DEL creates nothing',
    go: 'creates the pool',
    reason: 'there is nothing to free',
    test: ['whereabouts.test.ts', 'creates nothing'],
  },
  {
    id: 'no-pod',
    plugin: 'whereabouts',
    ours: "a call without a pod's name is served",
    go: '`no pod name`',
    reason: 'it works with cnitool',
    test: ['whereabouts.test.ts', 'serves macvlan through cnitool'],
  },
  {
    id: 'twice',
    plugin: 'whereabouts',
    ours: 'a range written twice, and ranges that overlap, give different addresses in one call',
    go: 'the same address twice',
    reason: 'no interface needs an address twice',
    test: ['whereabouts.test.ts', 'a range that is written twice gives two addresses'],
  },
  {
    id: 'same-pod',
    plugin: 'whereabouts',
    ours: 'two interfaces of one pod in ranges that overlap get different addresses',
    go: 'the same address',
    reason: 'it is a duplicate',
    test: ['whereabouts.test.ts', 'never give the same address to two interfaces of one pod'],
  },
  {
    id: 'overlap-all',
    plugin: 'whereabouts',
    ours: 'an address held in another range of the network is taken, also when that range is not protected itself',
    go: 'only when both are',
    reason: 'it is in use',
    test: ['whereabouts.test.ts', 'see an address of a range that is not protected'],
  },
  {
    id: 'wedge',
    plugin: 'whereabouts',
    ours: 'a pod whose old address another range has given away gets a new one',
    go: 'its ADD fails for ever',
    reason: 'it must be able to come back',
    test: ['whereabouts.test.ts', 'give a pod a new address when another range has given its own away'],
  },
  {
    id: 'gateway-family',
    plugin: 'whereabouts',
    ours: '`gateway` goes with addresses of its own family',
    go: 'with every address',
    reason: 'an IPv4 gateway is none for IPv6',
    test: ['whereabouts.test.ts', 'is a gateway of the same family only'],
  },
  {
    id: 'exclude',
    plugin: 'whereabouts',
    ours: 'exclusions are checked always',
    go: 'only when an address is searched',
    reason: 'a typing error shows at once',
    test: ['bad-whereabouts.ts', 'an exclude "'],
  },
  {
    id: 'bounds',
    plugin: 'whereabouts',
    ours: 'a top-level `range_start` or `range_end` that is no address is refused',
    go: 'ignored',
    reason: 'the window would silently be another',
    test: ['bad-whereabouts.ts', 'a range_start that is no address'],
  },
  {
    id: 'nothing',
    plugin: 'whereabouts',
    ours: 'ADD without anything to give is refused',
    go: 'an empty result, or static addresses alone',
    reason: 'the pod would have no address',
    test: ['bad-whereabouts.ts', 'nothing to give'],
  },
  {
    id: 'reversed',
    plugin: 'whereabouts',
    ours: 'a window that ends before it begins is refused',
    go: 'its end is ignored',
    reason: 'nobody can mean it',
    test: ['bad-whereabouts.ts', 'a window that is reversed'],
  },
  {
    id: 'configuration-path',
    plugin: 'whereabouts',
    ours: 'a `configuration_path` that does not exist is refused, but by DEL',
    go: 'the usual places instead',
    reason: 'its exclusions would be lost',
    test: ['whereabouts-words.test.ts', 'gives nobody what the flat file excludes when the file has gone'],
  },
  {
    id: 'pod-name',
    plugin: 'whereabouts',
    ours: `a pod's name or namespace in CNI_ARGS must not have a "/"`,
    go: 'any text',
    reason: 'two pods would be known as one',
    test: ['bad-whereabouts.ts', 'a name of a pod in CNI_ARGS that is none'],
  },
  {
    id: 'silent',
    plugin: 'whereabouts',
    ours: 'stderr is empty when nothing is wrong',
    go: 'each step is on stderr',
    reason: 'runtimes log what is there as trouble',
    test: ['whereabouts-words.test.ts', 'is silent on stderr when all is well'],
  },
  {
    id: 'small',
    plugin: 'whereabouts',
    ours: 'a range without usable addresses is refused with the configuration',
    go: 'when an address is searched, with code 999',
    reason: 'it can never work',
    test: ['bad-whereabouts.ts', 'a range too small'],
  },
  {
    id: 'names',
    plugin: 'whereabouts',
    ours: '`network_name` must be a lower case RFC 1123 name',
    go: 'refused by the API server',
    reason: 'it names a folder',
    test: ['bad-whereabouts.ts', 'a network_name'],
  },
  {
    id: 'keys',
    plugin: 'whereabouts',
    ours: 'offsets beyond 2^63 work, and keys are always canonical',
    go: 'lost, and given twice',
    reason: 'an address is an address',
    test: ['whereabouts.test.ts', 'offsets beyond 63 bits are kept'],
  },
  {
    id: 'gateway-key',
    plugin: 'whereabouts',
    ours: '`Gateway` is `gateway` in another case',
    go: 'read leniently by itself',
    reason: 'keys match without regard to case',
    test: ['whereabouts.test.ts', 'reads Gateway as gateway'],
  },
  {
    id: 'slices',
    plugin: 'whereabouts',
    ours: '`node_slice_size` is refused with `"file"`',
    go: 'slices are what it gives a node',
    reason: 'slices are for clusters',
    test: ['bad-whereabouts.ts', 'slices'],
  },
  {
    id: 'datastore-words',
    plugin: 'whereabouts',
    ours: 'an unknown `datastore` is refused; `etcd` means `kubernetes`',
    go: 'ignored',
    reason: 'a typing error must not move reservations elsewhere',
    test: ['bad-whereabouts.ts', 'a datastore that is unknown'],
  },
  {
    id: 'check',
    plugin: 'whereabouts',
    ours: 'CHECK works',
    go: 'CHECK always fails',
    reason: 'a reservation can be lost',
    test: ['whereabouts.test.ts', 'whereabouts CHECK'],
  },
  {
    id: 'gc',
    plugin: 'whereabouts',
    ours: 'GC works',
    go: 'does nothing',
    reason: 'nothing leaks',
    test: ['whereabouts.test.ts', 'whereabouts GC'],
  },
  {
    id: 'status',
    plugin: 'whereabouts',
    ours: 'STATUS works',
    go: 'does nothing',
    reason: 'a node says early that it cannot serve',
    test: ['bad-input.test.ts', 'STATUS of whereabouts has code 50'],
  },
];

/** The intended difference that a deviation is, if any: one of the plugin itself before one of what it runs. */
export const explanationOf = (deviation: Deviation): Difference | undefined =>
  [deviation.case.plugin, 'all', ...(deviation.case.plugin === 'multus' ? ['macvlan'] : [])]
    .flatMap((plugin) => DIFFERENCES.filter((difference) => difference.plugin === plugin))
    .find(({ covers }) => covers?.(deviation));

const failed = ({ exit }: Step): boolean => exit !== 0;
const bothFailed = ({ ours, go }: Deviation): boolean => failed(ours) && failed(go);
const onlyGoFailed = ({ ours, go }: Deviation): boolean => !failed(ours) && failed(go);
const onlyOursFailed = ({ ours, go }: Deviation): boolean => failed(ours) && !failed(go);
const hasOtherCode = (deviation: Deviation, code: number): boolean =>
  deviation.aspect === 'code' && bothFailed(deviation) && deviation.ours.code === code && deviation.go.code === 999;
const isExit = ({ aspect, verb }: Deviation, wanted: string): boolean => aspect === 'exit' && verb === wanted;
const isState = ({ aspect }: Deviation): boolean => ['pod', 'sysctls', 'node', 'store'].includes(aspect);

/** A link that is no macvlan is there, and Go has deleted it. */
const keepsForeignLink = ({ ours, go }: Deviation): boolean =>
  ours.pod.links.some(
    ({ ifname, linkinfo }) =>
      (linkinfo as { info_kind?: string } | undefined)?.info_kind !== 'macvlan' &&
      !go.pod.links.some((other) => other['ifname'] === ifname),
  );

const withoutConfigList = ({ store }: Step): string =>
  Object.entries(store)
    .map(([name, content]) => `${name} ${content.replace(/"CNINetworkConfigList":\{"Name":"".*?"Bytes":null\},/g, '')}`)
    .join('\n');

/** What a device was, and the folder for it. */
const withoutRecords = ({ store }: Step): string =>
  JSON.stringify(Object.entries(store).filter(([name]) => !name.startsWith('records/')));

const withoutNotify = (sysctls: Step['sysctls']): object =>
  Object.fromEntries(Object.entries(sysctls).filter(([name]) => !/(arp|ndisc)_notify$/.test(name)));

const withoutMetrics = ({ pod }: Step): string =>
  JSON.stringify({ ...pod, routes: pod.routes.map(({ metrics: _, ...route }) => route) });
