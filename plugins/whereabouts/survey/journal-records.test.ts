import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fakeScope } from '../../../lib/cni/testing/fake-scope.ts';
import { openDatabase } from '../../../lib/sys/database.ts';
import { temporaryFolder } from '../../../lib/sys/testing/temporary.ts';
import type { JournalRow } from '../cluster/journal.ts';
import { SqliteJournal } from '../cluster/sqlite-journal.ts';
import { listRecords } from '../recorded.ts';
import { readPlace } from '../settings.ts';
import { CALLER } from '../testing/steps.ts';

const row = (who: string, range: string, key: string, networkName = ''): JournalRow => {
  const [podref = '', ifname = '', id = ''] = who.split(' ');
  return {
    networkName,
    id,
    ifname,
    podref,
    conf: 'net-a',
    range,
    rangeText: range.replace(/@.*/, ''),
    key,
    reservation: undefined,
    isSure: true,
  };
};

describe('what a node remembers of its addresses in clusters', () => {
  it('is listed without asking a server, and what is listed leads DEL to it', async () => {
    using folder = temporaryFolder();
    const dataDir = join(folder.path, 'data');
    for (const kubeconfig of ['/k', '/other']) {
      using journal = new SqliteJournal({ dataDir, kubeconfig }, openDatabase, CALLER);
      const rows = [row('lab/a net1 idA', '10.0.0.0/24', '5'), row('lab/a net1 idA', 'fd00::/64', '7')];
      const write = kubeconfig === '/k' ? rows : [row('lab/b net2 idB', '10.1.0.0/24@w-7', '9', 'blue')];
      await journal.record({ remove: [], write });
    }
    const conf = {
      type: 'macvlan',
      ipam: { type: 'whereabouts', kubernetes: { kubeconfig: '/k' }, data_dir: dataDir },
    };
    const records = (await listRecords(fakeScope(), [conf])).filter(({ place }) => place.startsWith(dataDir));
    expect(records).toMatchObject([
      {
        containerId: 'idA',
        ifName: 'net1',
        network: 'net-a',
        pod: 'lab/a',
        addresses: ['10.0.0.5/24', 'fd00::7/64'],
        place: join(dataDir, 'cluster.db'),
      },
      { containerId: 'idB', addresses: ['10.1.0.9/24'] },
    ]);
    const places = records.map(({ release }) => readPlace(release));
    expect(places.map(({ place }) => place)).toEqual([
      { kind: 'kubernetes', kubeconfig: '/k', dataDir, networkName: '', concurrency: 'cas' },
      { kind: 'kubernetes', kubeconfig: '/other', dataDir, networkName: 'blue', concurrency: 'cas' },
    ]);
    expect(places[1]?.ranges).toEqual([]); // the journal knows the slice
    expect(places[0]?.ranges?.map(({ cidr }) => cidr.prefix)).toEqual([24, 64]);
  });
});
