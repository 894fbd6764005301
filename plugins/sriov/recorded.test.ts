import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fakeScope } from '../../lib/cni/testing/fake-scope.ts';
import { temporaryFolder } from '../../lib/sys/testing/temporary.ts';
import { setOwner } from './allocations.ts';
import { listRecords } from './recorded.ts';

/** What the Go plugin writes, shortened to what is read. */
const stateOf = (own?: object): string =>
  JSON.stringify({
    name: 'fast',
    type: 'sriov',
    deviceID: '0000:65:00.1',
    Master: 'ens1f0',
    VFID: 3,
    OrigVfState: { HostIFName: 'ens1f0v3' },
    ...own,
  });

describe('records of sriov', () => {
  it('give the VF of each attachment, also those of the Go plugin', async () => {
    using folder = temporaryFolder();
    const own = { format: 2, phase: 'attached', containerId: 'c-1', ifName: 'net1', netns: '/run/netns/a' };
    writeFileSync(join(folder.path, 'c-1-net1'), stateOf({ braid: own }));
    writeFileSync(join(folder.path, 'of-go-net2'), stateOf());
    writeFileSync(join(folder.path, 'other'), 'something else');
    setOwner(folder.path, '0000:65:00.1', '/run/netns/b');
    const logged: string[] = [];
    const scope = fakeScope({ log: (line) => logged.push(line) });
    const all = await listRecords(scope, [{ type: 'sriov', dataDir: folder.path }]);
    const device = '0000:65:00.1 (ens1f0 VF 3)';
    expect(all.filter(({ place }) => place.startsWith(folder.path))).toMatchObject([
      { containerId: 'c-1', ifName: 'net1', netns: '/run/netns/a', network: 'fast', device },
      { containerId: 'of-go', ifName: 'net2', netns: '/run/netns/b', network: 'fast', device },
    ]);
    expect(logged).toEqual([expect.stringContaining('other')]);
  });
});
