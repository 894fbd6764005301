/** Reads the files of whereabouts: what is really reserved, whoever asks. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Reservation {
  readonly network: string;
  readonly range: string;
  /** distance from the network address */
  readonly offset: string;
  readonly containerId: string;
  readonly ifName: string;
}

interface Entry {
  readonly id: string;
  readonly ifname: string;
}

interface JournalRecord {
  readonly seq: number;
  readonly ops: readonly { readonly range: string; readonly op: string; readonly k: string; readonly v?: Entry }[];
}

/** Of every network in the folder, as its README describes the files. */
export function reservationsIn(dataDir: string): readonly Reservation[] {
  const networks = existsSync(dataDir) ? readdirSync(dataDir) : [];
  return networks.flatMap((network) =>
    [...poolsIn(join(dataDir, network))].flatMap(([range, entries]) =>
      [...entries].map(([offset, { id, ifname }]) => ({ network, range, offset, containerId: id, ifName: ifname })),
    ),
  );
}

type Pools = Map<string, Map<string, Entry>>;

function poolsIn(folder: string): Pools {
  const { seq, pools } = readSnapshot(join(folder, 'snapshot.json'));
  let last = seq;
  for (const record of recordsIn(join(folder, 'journal')).filter((one) => one.seq > seq)) {
    if (record.seq !== ++last) {
      throw new Error(`record ${last} of ${folder} is missing`);
    }
    for (const { range, op, k, v } of record.ops) {
      const entries = pools.get(range) ?? new Map<string, Entry>();
      pools.set(range, entries);
      if (op === 'add' && entries.has(k)) {
        throw new Error(`${folder} gives ${k} of ${range} twice`);
      }
      if (v === undefined) {
        entries.delete(k);
      } else {
        entries.set(k, v);
      }
    }
  }
  return pools;
}

function readSnapshot(path: string): { readonly seq: number; readonly pools: Pools } {
  const [, header, ...lines] = existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : [];
  const parsed = lines.map((line) => JSON.parse(line) as { range: string; allocations: Record<string, Entry> });
  return {
    seq: header === undefined ? 0 : (JSON.parse(header) as { seq: number }).seq,
    pools: new Map(parsed.map(({ range, allocations }) => [range, new Map(Object.entries(allocations))])),
  };
}

/** Each is its length and checksum, then JSON. */
function recordsIn(path: string): readonly JournalRecord[] {
  const bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
  const records: JournalRecord[] = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    const end = at + 8 + bytes.readUInt32BE(at);
    if (end > bytes.length) {
      break; // cut off while it was written, so it was never answered
    }
    records.push(JSON.parse(bytes.toString('utf8', at + 8, end)) as JournalRecord);
    at = end;
  }
  return records;
}
