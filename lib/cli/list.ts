import type { Scope } from '../cni/scope.ts';
import { type Homes, withoutPrefix } from './located.ts';
import { NODE_OPTIONS, type NodeRecord, placesIn, readNode } from './node.ts';
import { readOptions } from './options.ts';
import { age, count, table } from './table.ts';

type Print = (line: string) => void;

/** The prefix of a container ID shown to people. */
export const shortId = (containerId: string): string => containerId.slice(0, 13);

/** One interface of one container, merged from all its records. */
export interface Attached {
  readonly containerId: string;
  readonly ifName: string;
  readonly pod: string;
  readonly network: string;
  readonly addresses: readonly string[];
  readonly device: string;
  readonly netns: string;
  readonly sinceMs: number | undefined;
  /** `unknown` when no namespace is recorded */
  readonly namespace: 'there' | 'gone' | 'unknown';
  /** files and stores that record it */
  readonly places: readonly string[];
}

/** `braid list` */
export async function list(args: readonly string[], scope: Scope, print: Print): Promise<number> {
  const { values } = readOptions(args, { ...NODE_OPTIONS, json: { type: 'boolean', default: false } });
  const { records, homes, faults } = await readNode(scope, placesIn(values));
  const attached = attachedIn(homes, records);
  for (const fault of faults) {
    scope.log(fault);
  }
  for (const line of values.json ? [JSON.stringify(attached, null, 2)] : attachedTable(attached, Date.now())) {
    print(line);
  }
  return faults.length > 0 ? 1 : 0;
}

/** Sorted by pod, then by interface. */
export function attachedIn(homes: Homes, records: readonly NodeRecord[]): readonly Attached[] {
  const containers = Map.groupBy(records, ({ containerId }) => containerId);
  return [...containers.values()]
    .flatMap((own) => {
      const container = containerOf(homes, own);
      const interfaces = Map.groupBy(own, ({ ifName }) => ifName);
      return [...interfaces.values()].map((group) => merged(group, container));
    })
    .sort((a, b) => compare(`${a.pod} ${a.containerId}`, `${b.pod} ${b.containerId}`) || compare(a.ifName, b.ifName));
}

export function attachedTable(attached: readonly Attached[], nowMs: number): readonly string[] {
  if (attached.length === 0) {
    return ['no attachments recorded on this node'];
  }
  const head = ['POD', 'CONTAINER', 'NETWORK', 'INTERFACE', 'ADDRESSES', 'DEVICE', 'AGE', 'NAMESPACE'];
  const rows = attached.map((one) => [
    one.pod,
    shortId(one.containerId),
    one.network,
    one.ifName,
    one.addresses.join(' '),
    one.device,
    one.sinceMs === undefined ? '' : age(nowMs - one.sinceMs),
    one.namespace,
  ]);
  const gone = attached.filter(({ namespace }) => namespace === 'gone').length;
  const more = gone === 0 ? '' : `, ${gone} whose namespace is gone: run "braid gc"`;
  return [...table(head, rows), '', `${count(attached.length, 'attachment')}${more}`];
}

type OfContainer = Pick<Attached, 'containerId' | 'pod' | 'netns' | 'namespace'>;

/** What all interfaces of a container share, from any of their records. */
function containerOf(homes: Homes, records: readonly NodeRecord[]): OfContainer {
  const containerId = records[0]?.containerId ?? '';
  const home = homes.get(containerId);
  return {
    containerId,
    pod: firstText(records, 'pod'),
    netns: home?.path ?? '',
    namespace: home === undefined ? 'unknown' : home.identity === undefined ? 'gone' : 'there',
  };
}

/** Plugins record each network's name, the runtime only its first network's: its records come last. */
function merged(group: readonly NodeRecord[], container: OfContainer): Attached {
  const records = [...group.filter(({ plugin }) => plugin !== ''), ...group.filter(({ plugin }) => plugin === '')];
  const addresses = new Map(records.flatMap((record) => record.addresses.map((text) => [withoutPrefix(text), text])));
  const since = records.map(({ sinceMs }) => sinceMs).filter((time) => time !== undefined);
  return {
    ...container,
    ifName: records[0]?.ifName ?? '',
    network: firstText(records, 'network'),
    addresses: [...addresses.values()],
    device: firstText(records, 'device'),
    sinceMs: since.length === 0 ? undefined : Math.min(...since),
    places: [...new Set(records.map(({ place }) => place))],
  };
}

const firstText = (records: readonly NodeRecord[], key: 'network' | 'device' | 'pod'): string =>
  records.map((record) => record[key]).find((text) => text !== '') ?? '';

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
