/** What tuning does in another way than Go's: the rows of its README, under "Differences". */
import type { Difference, Tag } from '../../contract/difference.ts';
import type { Deviation, Step } from '../../peers/compare.ts';
import {
  bothFailed,
  failed,
  isDelOfNoNetns,
  isExit,
  isState,
  onlyGoFailed,
  onlyOursFailed,
} from '../../peers/deviations.ts';

type Value = Readonly<Record<string, unknown>>;

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Records as the Go plugin reads them. */
const withoutOwner = ({ store }: Step): unknown =>
  Object.entries(store).map(([name, content]) => {
    const at = content.indexOf('{');
    return [name, at < 0 ? content : JSON.stringify({ ...(JSON.parse(content.slice(at)) as Value), braid: undefined })];
  });

const hasOwner = (step: Step): boolean => Object.values(step.store).some((content) => content.includes('"braid":'));

/** Interfaces of a result, without what an option adds. */
const resultWithout = ({ stdout }: Step, key: string): unknown => {
  const result = JSON.parse(stdout || '{}') as { readonly interfaces?: readonly Value[] };
  return { ...result, interfaces: result.interfaces?.map((one) => ({ ...one, [key]: undefined })) };
};

const differsOnlyIn = ({ aspect, ours, go }: Deviation, key: string): boolean =>
  aspect === 'stdout' && isSame(resultWithout(ours, key), resultWithout(go, key));

/** Go's error is about this, and ours succeeds. */
const onlyGoSays = (deviation: Deviation, verb: string, words: RegExp): boolean =>
  isExit(deviation, verb) && onlyGoFailed(deviation) && words.test(deviation.go.message);

/** Ours refuses it with these words, and nothing has changed. */
const onlyOursSays = (deviation: Deviation, verb: string, words: RegExp): boolean =>
  isExit(deviation, verb) && onlyOursFailed(deviation) && words.test(deviation.ours.message);

const keepsRecord = ({ aspect, verb, ours, go }: Deviation): boolean =>
  aspect === 'store' &&
  verb === 'DEL' &&
  !failed(ours) &&
  Object.keys(ours.store).length < Object.keys(go.store).length;

export const DIFFERENCES = [
  {
    id: 'record-owner',
    ours: 'one more key in the record: whose it is, and of which link in which namespace',
    go: 'four attributes',
    reason: 'another link of that name must not get these values, and GC needs the network',
    covers: ({ aspect, ours, go }) =>
      aspect === 'store' && hasOwner(ours) && isSame(withoutOwner(ours), withoutOwner(go)),
  },
  {
    id: 'record-first',
    ours: 'the record is on the disk before sysctls and interface change',
    go: 'written after the sysctls, not synced',
    reason: 'whenever the call is killed, DEL can put everything back',
    shownBy: 'conformance',
  },
  {
    id: 'record-link',
    ours: 'a record is used for the link that it is about, wherever its namespace is, also when the pod has renamed it',
    go: 'for whatever has the name at the path',
    reason: 'a name, a path and an index are given again',
    shownBy: 'conformance',
  },
  {
    id: 'record-again',
    ours: 'ADD of an interface that has a record keeps what that one says of the time before',
    go: 'what was changed is taken for the original',
    reason: 'DEL puts back what was there first',
    shownBy: 'conformance',
  },
  {
    id: 'record-damaged',
    ours: 'DEL removes a record that is empty or damaged',
    go: 'it stays for ever',
    reason: 'nobody can use it',
    covers: (deviation) => keepsRecord(deviation) && /record: (empty|damaged)/.test(deviation.case.title),
  },
  {
    id: 'record-gone',
    ours: 'DEL removes the record when namespace or interface are gone',
    go: 'it stays for ever',
    reason: 'the next one of that name would get its values',
    covers: (deviation) => keepsRecord(deviation) && / gone/.test(deviation.case.title),
  },
  {
    id: 'del-each',
    ours: 'DEL puts back what can be, logs what the kernel refuses, and removes the record',
    go: 'says nothing, and the record stays for ever',
    reason: 'a pod must be able to go',
    covers: (deviation) => keepsRecord(deviation) && /cannot be put back/.test(deviation.case.title),
  },
  {
    id: 'del-lenient',
    ours: 'DEL reads no more of configuration and CNI_ARGS than it needs',
    go: 'a wrong type, or an argument that it does not know, fails DEL',
    reason: 'a pod must be able to go',
    covers: (deviation) =>
      onlyGoSays(deviation, 'DEL', /failed to load netconf: json|ARGS: |assignment to entry in nil map/),
  },
  {
    id: 'del-no-netns',
    ours: 'DEL succeeds when CNI_NETNS is no network namespace',
    go: 'the record stays',
    reason: 'a file is what a lost mount leaves',
    covers: (deviation) => isDelOfNoNetns(deviation) || (keepsRecord(deviation) && deviation.case.netns !== undefined),
  },
  {
    id: 'undo',
    ours: 'everything is as it was after an ADD that failed, and no record is left',
    go: 'what was changed stays, and so does the record',
    reason: 'the next ADD meets a clean pod',
    covers: (deviation) =>
      isState(deviation) &&
      bothFailed(deviation) &&
      ['ADD', 'CHECK'].includes(deviation.verb) &&
      deviation.ours.isUntouched,
  },
  {
    id: 'result-host',
    ours: "of interfaces with one name, the result changes the pod's",
    go: 'all of them',
    reason: 'a link of the host may have the name',
    covers: ({ aspect, verb, case: { title } }) =>
      aspect === 'stdout' && verb === 'ADD' && /link of the host/.test(title),
  },
  {
    id: 'result-mac',
    ours: 'the result has the hardware address as the kernel writes it',
    go: 'as the configuration writes it',
    reason: 'whoever compares it finds it',
    covers: (deviation) => deviation.verb === 'ADD' && differsOnlyIn(deviation, 'mac'),
  },
  {
    id: 'result-mtu',
    ours: 'the result of version 1.0.0 and newer has the MTU that was set',
    go: 'that of before, or none',
    reason: 'the specification has it, and CHECK of the plugin before goes by it',
    covers: (deviation) => deviation.verb === 'ADD' && differsOnlyIn(deviation, 'mtu'),
  },
  {
    id: 'mac-refused',
    ours: 'a hardware address that the interface cannot have is refused before anything is done',
    go: 'by the kernel, or cut to length',
    reason: 'a clear message',
    covers: (deviation) =>
      onlyOursSays(deviation, 'ADD', /cannot use "mac" .*: (that of the interface has|the interface has none|it is)/),
  },
  {
    id: 'mtu-ipv6',
    ours: 'an MTU below 1280 is refused when the interface has an IPv6 address',
    go: 'the kernel takes the address away without a word',
    reason: 'the pod would not have the address that its result says',
    covers: (deviation) => onlyOursSays(deviation, 'ADD', /would lose its address/),
  },
  {
    id: 'data-dir',
    ours: 'a relative `dataDir` is refused',
    go: 'below the folder in which the runtime happens to be',
    reason: 'DEL may be called from another one',
    covers: (deviation) => onlyOursSays(deviation, 'ADD', /cannot use "dataDir"/),
  },
  {
    id: 'mtu-reason',
    ours: 'where the kernel refuses an MTU above that of the parent, the error says so',
    go: '`invalid argument`',
    reason: 'the parent is in another namespace, where nobody looks',
    shownBy: 'conformance',
  },
  {
    id: 'number-range',
    ours: 'a negative or too large number is refused',
    go: 'cut to 32 bits',
    reason: 'a typing error shows at once',
    covers: (deviation) => onlyOursSays(deviation, 'ADD', /is not at (least|most)/),
  },
  {
    id: 'args-sysctl',
    ours: '`args.cni.sysctl` works without `sysctl`, and an own value beats one of the network however its name is written',
    go: 'panics; both are written, in any order',
    reason: 'what is asked for is done',
    covers: (deviation) => onlyGoSays(deviation, 'ADD', /assignment to entry in nil map/),
  },
  {
    id: 'sysctl-dots',
    ours: 'names of interfaces may have dots, as with sysctl(8): `net/ipv4/conf/eth0.5/arp_filter`',
    go: 'every dot separates',
    reason: 'VLAN interfaces are called so',
    covers: (deviation) => onlyGoSays(deviation, 'ADD', /open \/proc\/sys\/net\/.*: no such file or directory/),
  },
  {
    id: 'sysctl-twice',
    ours: 'a sysctl that has two values is refused, however its name is written',
    go: 'only when both are written in the same way, which runtimes hide; else one of them wins',
    reason: 'nobody knows which',
    covers: (deviation) =>
      onlyOursSays(deviation, 'ADD', /is the same one, and shall be/) ||
      onlyGoSays(deviation, 'ADD', /duplicated sysctl keys/),
  },
  {
    id: 'sysctl-empty',
    ours: 'an empty value is refused',
    go: 'nothing is written, and CHECK fails',
    reason: 'it asks for nothing',
    covers: (deviation) => onlyOursSays(deviation, 'ADD', /its value is empty|null is not a string/),
  },
  {
    id: 'sysctl-name',
    ours: 'a name with an empty part, or with `..`, is refused',
    go: 'empty parts are passed over',
    reason: 'no name leads out of `net`, and the allow-list sees what is written',
    covers: (deviation) =>
      onlyOursSays(deviation, 'ADD', /cannot use "sysctl" .*: it (is not the name of a sysctl|leads elsewhere)/),
  },
  {
    id: 'allowlist-whole',
    ours: 'an expression of the allow-list must match the whole name, in either notation',
    go: 'any part of it, as the configuration writes it',
    reason: '`net.ipv4.conf.IFNAME.rp` would allow all that begins so',
    shownBy: 'conformance',
  },
  {
    id: 'check-value',
    ours: 'CHECK compares values as the kernel reads them: numbers, several words, hardware addresses in any notation',
    go: 'as text',
    reason: 'the kernel writes them in its own way',
    covers: (deviation) =>
      onlyGoSays(deviation, 'CHECK', /Error: Tuning configured (value|Ethernet) of|: permission denied|read \/proc/),
  },
  {
    id: 'check-promisc',
    ours: 'CHECK looks at promiscuous mode when it is asked for',
    go: 'fails when it is on for another reason, such as a sniffer',
    reason: 'it is not ours',
    covers: (deviation) => onlyGoSays(deviation, 'CHECK', /configured promisc is false/),
  },
] as const satisfies readonly Difference[];

declare module 'vitest' {
  interface TestTags {
    readonly tuning: Tag<'tuning', typeof DIFFERENCES>;
  }
}
