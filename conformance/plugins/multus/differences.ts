/** What multus does in another way than Go's: the rows of its README, under "Differences". */
import type { Difference, Tag } from '../../contract/difference.ts';
import type { Step } from '../../peers/compare.ts';
import { bothFailed, isExit, isState, onlyGoFailed } from '../../peers/deviations.ts';

const versionIn = (stdout: string): unknown => (JSON.parse(stdout) as { readonly cniVersion?: unknown }).cniVersion;

export const DIFFERENCES = [
  {
    id: 'code',
    ours: 'the code of the delegate, 7 for a configuration that cannot be used',
    go: '999',
    reason: 'a runtime can tell what may be tried again',
    covers: (deviation) => deviation.aspect === 'code' && bothFailed(deviation) && deviation.go.code === 999,
  },
  {
    id: 'undo',
    ours: 'nothing is left after an ADD that failed, the scratch file neither; it stays when something could not be deleted',
    go: 'the scratch file stays; nothing is deleted after a late failure',
    reason: 'the next ADD meets a clean node, and DEL finds what it needs',
    covers: (deviation) =>
      isState(deviation) && deviation.verb === 'ADD' && bothFailed(deviation) && deviation.ours.isUntouched,
  },
  {
    id: 'del-lenient',
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
    ours: '`clusterNetwork` and `defaultNetworks` that are paths, or names in `confDir`, need no Kubernetes',
    go: 'they do',
    reason: 'a file is a file',
    covers: (deviation) =>
      isExit(deviation, 'ADD') &&
      onlyGoFailed(deviation) &&
      /must have either Kubernetes config or delegates/.test(deviation.go.message),
  },
  {
    id: 'empty-prev-result',
    ours: '`prevResult` without a version has that of the configuration, as everywhere',
    go: 'an empty one fails the call',
    reason: 'it is not used',
    covers: (deviation) =>
      isExit(deviation, 'ADD') &&
      onlyGoFailed(deviation) &&
      /could not parse prevResult: .* unmarshalled CNIVersion is ""/.test(deviation.go.message),
  },
  {
    id: 'scratch-pod',
    ours: 'the first delegate in the scratch file has a key `braid`: where the pod is',
    go: 'no such key, and passes over it',
    reason: 'DEL and GC find a pod whose path is lost, and do not take another for it',
    shownBy: 'conformance',
  },
  {
    id: 'scratch-form',
    ours: 'the scratch file has no `CNINetworkConfigList`',
    go: 'has it up to 4.3.0',
    reason: 'nobody needs it, and later versions have it no more',
    covers: (deviation) =>
      deviation.aspect === 'store' && withoutConfigList(deviation.ours) === withoutConfigList(deviation.go),
  },
  {
    id: 'result-version',
    ours: 'the result is printed in the version of the configuration',
    go: 'in that of the first delegate',
    reason: 'the specification says so',
    covers: ({ aspect, verb, ours, go, case: { conf } }) =>
      aspect === 'stdout' &&
      verb === 'ADD' &&
      ours.exit === 0 &&
      go.exit === 0 &&
      versionIn(ours.stdout) === (conf as { readonly cniVersion?: string }).cniVersion &&
      versionIn(ours.stdout) !== versionIn(go.stdout),
  },
  {
    id: 'look-first',
    ours: 'every interface and plugin is looked up, and every configuration read, before anything is done',
    go: 'when its network runs',
    reason: 'nothing to take back',
    shownBy: 'conformance',
  },
  {
    id: 'single-description',
    ours: '`plugin type="…" name="…" failed (add)` for a delegate of one plugin too',
    go: 'for lists only',
    reason: 'it says which one',
    shownBy: 'conformance',
  },
  {
    id: 'no-plugins',
    ours: '`plugins: []`, nulls and wrong types are refused with key and value',
    go: 'some crash',
    reason: 'nobody can see what is wrong in a crash',
    shownBy: 'conformance',
  },
  {
    id: 'name-first',
    ours: 'a delegate without a usable name is refused before any runs',
    go: 'when its turn comes',
    reason: 'nothing to take back',
    shownBy: 'conformance',
  },
  {
    id: 'self',
    ours: 'a delegate `multus` or `multus-shim` is refused, and passed over by DEL',
    go: 'calls itself without end',
    reason: 'it happened',
    shownBy: 'conformance',
  },
  {
    id: 'scratch-atomic',
    ours: 'the scratch file is replaced in one step and synced',
    go: 'written in place',
    reason: 'a crash leaves no half file',
    shownBy: 'conformance',
  },
  {
    id: 'scratch-corrupt',
    ours: 'DEL falls back to the result cache and the configured networks, and fails when these do not tell either',
    go: 'success, nothing deleted',
    reason: 'addresses leaked',
    shownBy: 'conformance',
  },
  {
    id: 'scratch-kept',
    ours: 'the scratch file stays when the DEL of a network failed that the result cache does not have',
    go: 'removed',
    reason: 'nothing is forgotten that is still there',
    shownBy: 'conformance',
  },
  {
    id: 'container-id',
    ours: 'a container ID is refused that is too long for the name of a record, or is `results`',
    go: 'fails when the result is written, after the network was attached',
    reason: 'nothing to take back',
    shownBy: 'conformance',
  },
  {
    id: 'scratch-missing',
    ours: 'DEL falls back to the result cache',
    go: 'success, nothing deleted',
    reason: 'addresses leaked',
    shownBy: 'conformance',
  },
  {
    id: 'del-chain',
    ours: 'DEL goes on to the other plugins of a list when one fails',
    go: 'stops there',
    reason: 'what can be released is',
    shownBy: 'conformance',
  },
  {
    id: 'add-together',
    ours: "ADDs of this build's plugins overlap: each starts when the one before waits, or is done",
    go: 'one after another',
    reason: 'one lock, read and sync of the address store, one wait for duplicate IPv6 addresses, not sixteen',
    shownBy: 'conformance',
  },
  {
    id: 'del-together',
    ours: "DELs of this build's plugins overlap",
    go: 'one after another',
    reason: 'one grace period of the kernel, not sixteen',
    shownBy: 'conformance',
  },
  {
    id: 'del-readiness',
    ours: 'DEL never fails because of the readiness file',
    go: 'fails when it cannot be examined',
    reason: 'it does not need it',
    shownBy: 'conformance',
  },
  {
    id: 'check-all',
    ours: 'CHECK checks what was attached, whatever it came from, and reports all failures',
    go: 'the delegates of the configuration, up to the first failure',
    reason: 'all of it is the attachment',
    shownBy: 'conformance',
  },
  {
    id: 'gc',
    ours: 'GC collects what the runtime does not name, from scratch files and result cache, and forwards to every delegate',
    go: 'takes every cached attachment for valid, and forwards to the first',
    reason: '300,000 files on one node',
    shownBy: 'conformance',
  },
  {
    id: 'prev-result',
    ours: 'keys that the specification does not know stay in `prevResult` and in the result cache; `prevResult` has its keys sorted',
    go: 'dropped; order of the structure for 0.3.1 and 0.4.0',
    reason: 'plugins may speak to each other',
    shownBy: 'conformance',
  },
  {
    id: 'empty-old-result',
    ours: 'a first network of version 0.1.0 or 0.2.0 without address fails',
    go: 'printed',
    reason: 'such a result is none',
    shownBy: 'conformance',
  },
  {
    id: 'log-options',
    ours: '`logOptions` are obeyed, a line is one write',
    go: 'ignored by a process that lives for one call, three writes',
    reason: 'logs that grow without end',
    shownBy: 'conformance',
  },
  {
    id: 'readiness-code',
    ours: '11, for STATUS 50',
    go: '999',
    reason: 'both pass',
    shownBy: 'conformance',
  },
  {
    id: 'capability-warning',
    ours: 'what an annotation asks for, and no plugin of the network heeds, is told as a warning event',
    go: 'silently unused',
    reason: 'users look for it for hours',
    shownBy: 'cluster',
  },
  {
    id: 'default-isolation',
    ours: '`namespaceIsolation` holds for the default-network annotation too; `isolateDefaultNetwork: false` switches that off',
    go: 'a pod may name a network of any namespace',
    reason: 'a hole in the wall',
    shownBy: 'cluster',
  },
  {
    id: 'device-isolation',
    ours: 'with `namespaceIsolation` an annotation names no device (`deviceID`) that the pod was not given; `isolateDevices: false` switches that off',
    go: 'a pod may name any device of the node',
    reason: 'the same',
    shownBy: 'cluster',
  },
  {
    id: 'static-pod',
    ours: 'a static pod waits up to 10 s for its object, and is tried again then',
    go: 'gets an empty result, and no network',
    reason: 'the kubelet may be faster than the API server',
    shownBy: 'cluster',
  },
  {
    id: 'no-pod',
    ours: 'without K8S_POD_NAME in CNI_ARGS a pod gets the networks of the configuration',
    go: 'fails',
    reason: '`cnitool` is of use on any node',
    shownBy: 'cluster',
  },
  {
    id: 'patience',
    ours: 'a slow or busy API server is waited for, 15 s',
    go: 'two tries of 250 ms',
    reason: 'links are long, and servers busy',
    shownBy: 'cluster',
  },
  {
    id: 'default-route',
    ours: 'a pod has the gateways of `default-route` and no other default, of either family, in the kernel and in the records; one that cannot be reached fails the ADD',
    go: 'the former default stays, since 4.2.2, and the gateway is left out',
    reason: 'who asks for a default gets it',
    shownBy: 'cluster',
  },
  {
    id: 'status-gateway',
    ours: 'a default route without a gateway has none in network-status',
    go: '`<nil>`',
    reason: 'it is no address',
    shownBy: 'unit',
  },
  {
    id: 'status-patch',
    ours: 'network-status is written with one patch for the pod of that UID (without the right to patch: read and replaced); a pod that is gone is no failure',
    go: 'read twice, then replaced: also in another pod of that name; a pod that is gone fails the ADD',
    reason: 'one request instead of three, and never a word about another pod',
    shownBy: 'cluster',
  },
  {
    id: 'events',
    ours: 'events are sent together and waited for, up to 3 s; where there are more than ten of a kind, the last tells of all others',
    go: 'the last may get lost; from the tenth on only the last message stays',
    reason: 'every interface is told of',
    shownBy: 'unit',
  },
  {
    id: 'del-capabilities',
    ours: 'DEL offers plugins all that ADD has offered',
    go: 'not `portMappings` and `bandwidth` of an annotation',
    reason: 'a plugin that opens ports closes them',
    shownBy: 'cluster',
  },
  {
    id: 'thick-words',
    ours: 'the agent names key and value of a request that it refuses, and the plugin that fails; results are `application/json`',
    go: 'the daemon says what its decoder says; `text/plain`',
    reason: 'who writes a client sees what is wrong',
    shownBy: 'cluster',
  },
  {
    id: 'thick-uid',
    ours: 'DEL over the agent works without K8S_POD_UID where nobody knows the pod any more',
    go: 'fails',
    reason: 'a pod must be able to go',
    shownBy: 'cluster',
  },
  {
    id: 'thick-name',
    ours: 'the agent refuses a configuration without `name`, as the plugin does',
    go: 'the daemon takes it',
    reason: 'one rule for both',
    shownBy: 'cluster',
  },
  {
    id: 'thick-overlay',
    ours: 'the configuration of a hot-plugged interface stays as it was sent',
    go: 'gets the keys of daemon-config.json, `cniVersion` too',
    reason: 'they are about multus, not about the network',
    shownBy: 'cluster',
  },
  {
    id: 'thick-args',
    ours: 'plugins get CNI_ARGS from the agent as from the plugin',
    go: 'from the daemon without pairs that are not about the pod',
    reason: 'the same call, the same arguments',
    shownBy: 'cluster',
  },
  {
    id: 'thick-conf',
    ours: 'the configuration of the shim stays when the agent ends, comes back when others remove it, and follows a network that sorts before',
    go: 'deleted at the end, and empty while the network cannot be read',
    reason: 'no pod starts without its networks, no node without any',
    shownBy: 'unit',
  },
  {
    id: 'thick-order',
    ours: 'calls for one sandbox are served in order, and one whose caller ends is taken back',
    go: 'at the same time, and it goes on',
    reason: 'a runtime gives up after some minutes, and sends DEL',
    shownBy: 'conformance',
  },
  {
    id: 'thick-callers',
    ours: 'the agent asks the kernel who calls; 10 s to send a request, 7 MB at most, 256 callers at a time unless `connectionLimit` says, others wait',
    go: 'whoever may open the socket, without limits unless `connectionLimit` is given',
    reason: 'memory stays bounded',
    shownBy: 'conformance',
  },
] as const satisfies readonly Difference[];

declare module 'vitest' {
  interface TestTags {
    readonly multus: Tag<'multus', typeof DIFFERENCES>;
  }
}

/** Nor with the key that only ours has. */
function withoutConfigList({ store }: Step): string {
  const own = /"CNINetworkConfigList":\{"Name":"".*?"Bytes":null\},|,"braid":\{"netns".*?\},"ifName":.*?\}/g;
  return Object.entries(store)
    .map(([name, content]) => `${name} ${content.replace(own, '')}`)
    .join('\n');
}
