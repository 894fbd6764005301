import type { AttachmentRecord } from '../../../lib/cni/records.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import { NEWEST } from '../../../lib/cni/versions.ts';
import { parseCidr } from '../../../lib/net/cidr.ts';
import { formatIp } from '../../../lib/net/ip.ts';
import type { JournalRow } from '../cluster/journal.ts';
import { parsePoolKey } from '../names.ts';
import { type NodeJournal, readJournals } from './node-journals.ts';

/**
 * What attachments of this node hold in the pools of clusters, one record for each interface: the journal tells without
 * asking any server.
 *
 * @throws CniError when a journal cannot be read
 */
export async function journalRecords(scope: Scope, dataDirs: Iterable<string>): Promise<readonly AttachmentRecord[]> {
  return (await readJournals(scope, dataDirs)).flatMap(recordsOf);
}

function recordsOf(journal: NodeJournal): readonly AttachmentRecord[] {
  const groups = Map.groupBy(journal.rows, ({ networkName, id, ifname }) => JSON.stringify([networkName, id, ifname]));
  return [...groups.values()].flatMap((rows) => {
    const [first] = rows;
    return first === undefined ? [] : [recordOf(journal, first, rows)];
  });
}

const recordOf = (journal: NodeJournal, first: JournalRow, rows: readonly JournalRow[]): AttachmentRecord => ({
  containerId: first.id,
  ifName: first.ifname,
  network: first.conf,
  pod: first.podref,
  netns: '',
  addresses: rows.flatMap(addressIn),
  device: '',
  sinceMs: undefined,
  place: journal.file,
  release: {
    cniVersion: NEWEST,
    name: first.conf || 'whereabouts',
    type: 'whereabouts',
    ipam: {
      type: 'whereabouts',
      datastore: 'kubernetes',
      kubernetes: { kubeconfig: journal.kubeconfig },
      data_dir: journal.dataDir,
      network_name: first.networkName,
      ipRanges: rows.filter(({ range }) => parsePoolKey(range)?.node === '').map(({ range }) => ({ range })),
    },
  },
});

/** Keys count from the address in the pool's own text. */
export function addressIn({ rangeText, key }: JournalRow): readonly string[] {
  const cidr = parseCidr(rangeText);
  return cidr === undefined || !/^[+-]?\d+$/.test(key)
    ? []
    : [`${formatIp({ family: cidr.ip.family, value: cidr.ip.value + BigInt(key) })}/${cidr.prefix}`];
}
