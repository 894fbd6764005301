import type { Host } from '../cni/plugin.ts';
import { isGone } from './gone.ts';
import { withoutPrefix } from './liveness.ts';
import { NODE_OPTIONS, type NodeRecord, placesIn, readNode } from './node.ts';
import { readOptions } from './options.ts';
import { age, count, table } from './table.ts';

type Print = (line: string) => void;

const SHORT_ID = 13;

/** One interface of one container, put together from all that is recorded of it. */
export interface Attached {
  readonly containerId: string;
  readonly ifName: string;
  readonly pod: string;
  readonly network: string;
  readonly addresses: readonly string[];
  readonly device: string;
  readonly netns: string;
  readonly sinceMs: number | undefined;
  /** `there`, `gone` or, when no namespace is recorded, `unknown` */
  readonly namespace: 'there' | 'gone' | 'unknown';
  /** files and stores that know of it */
  readonly places: readonly string[];
}

/** `braid list` */
export async function list(args: readonly string[], host: Host, print: Print): Promise<number> {
  const { values } = readOptions(args, { ...NODE_OPTIONS, json: { type: 'boolean', default: false } });
  const { records, faults } = await readNode(host, placesIn(values));
  const attached = attachedIn(host, records);
  for (const fault of faults) {
    host.log(`braid: ${fault}`);
  }
  if (values.json) {
    print(JSON.stringify(attached, null, 2));
    return 0;
  }
  for (const line of attachedTable(attached, Date.now())) {
    print(line);
  }
  return 0;
}

/** By pod, then by interface. */
export function attachedIn(host: Host, records: readonly NodeRecord[]): readonly Attached[] {
  const groups = Map.groupBy(records, ({ containerId, ifName }) => `${containerId} ${ifName}`);
  const pods = podsOf(records);
  return [...groups.values()]
    .map((group) => merged(host, group, pods))
    .sort((a, b) => compare(`${a.pod} ${a.containerId}`, `${b.pod} ${b.containerId}`) || compare(a.ifName, b.ifName));
}

export function attachedTable(attached: readonly Attached[], nowMs: number): readonly string[] {
  if (attached.length === 0) {
    return ['no attachments are recorded on this node'];
  }
  const head = ['POD', 'CONTAINER', 'NETWORK', 'INTERFACE', 'ADDRESSES', 'DEVICE', 'AGE', 'NAMESPACE'];
  const rows = attached.map((one) => [
    one.pod,
    one.containerId.slice(0, SHORT_ID),
    one.network,
    one.ifName,
    one.addresses.join(' '),
    one.device,
    one.sinceMs === undefined ? '' : age(nowMs - one.sinceMs),
    one.namespace,
  ]);
  const gone = attached.filter(({ namespace }) => namespace === 'gone').length;
  const more = gone === 0 ? '' : `, ${gone} of ${gone === 1 ? 'a pod that is' : 'pods that are'} gone: "braid gc"`;
  return [...table(head, rows), '', `${count(attached.length, 'attachment')}${more}`];
}

/** What one record lacks another may have; plugins know the network by name, the runtime only the one it started with. */
function merged(host: Host, group: readonly NodeRecord[], pods: ReadonlyMap<string, NodeRecord>): Attached {
  const [own, outer] = [group.filter(({ plugin }) => plugin !== ''), group.filter(({ plugin }) => plugin === '')];
  const records = [...own, ...outer];
  const first = (key: 'network' | 'device' | 'pod' | 'netns'): string =>
    records.map((record) => record[key]).find((text) => text !== '') ?? '';
  const { containerId = '', ifName = '' } = records[0] ?? {};
  const container = pods.get(containerId);
  const netns = first('netns') || (container?.netns ?? '');
  const addresses = new Map(records.flatMap((record) => record.addresses.map((text) => [withoutPrefix(text), text])));
  const since = records.map(({ sinceMs }) => sinceMs).filter((time) => time !== undefined);
  const isThere = netns === '' ? 'unknown' : records.concat(container ?? []).every((one) => !isGone(host, one));
  return {
    containerId,
    ifName,
    pod: first('pod') || (container?.pod ?? ''),
    network: first('network'),
    addresses: [...addresses.values()],
    device: first('device'),
    netns,
    sinceMs: since.length === 0 ? undefined : Math.min(...since),
    namespace: isThere === 'unknown' ? 'unknown' : isThere ? 'there' : 'gone',
    places: [...new Set(records.map(({ place }) => place))],
  };
}

/** Of each container the record that knows pod and namespace best: those of its other interfaces are in the same. */
function podsOf(records: readonly NodeRecord[]): ReadonlyMap<string, NodeRecord> {
  const knowledge = ({ pod, netns }: NodeRecord): number => (pod === '' ? 0 : 1) + (netns === '' ? 0 : 2);
  const best = new Map<string, NodeRecord>();
  for (const record of records) {
    const known = best.get(record.containerId);
    if (known === undefined || knowledge(record) > knowledge(known)) {
      best.set(record.containerId, record);
    }
  }
  return best;
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
