import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fakeNode } from '../../lib/cni/testing/fake-node.ts';
import { callsFor, RECORDED, type RecordedCall } from '../../lib/cni/testing/recorded-calls.ts';
import { openDatastore } from './datastore.ts';
import { whereabouts } from './plugin.ts';

describe.each(RECORDED)('whereabouts called for a pod of $runtime', (recorded) => {
  it.each(['rich', 'plain'] as const)(
    'reserves for the %s pod by its name, and frees with no namespace left',
    async (pod) => {
      using node = fakeNode();
      const dataDir = join(node.cniDir, 'whereabouts');
      const ipam = { type: 'whereabouts', datastore: 'file', data_dir: dataDir, range: '10.6.0.0/24' };
      const repeat = ({ env, stdin }: RecordedCall) => {
        const CNI_NETNS = env['CNI_NETNS'] === '' ? '' : node.netnsPath;
        const document = { ...stdin, ipam };
        return node.run(whereabouts as never, env['CNI_COMMAND'] as 'ADD', document, { ...env, CNI_NETNS });
      };
      const [add] = callsFor(recorded, 'ADD', pod);
      const [, ...dels] = callsFor(recorded, 'DEL', pod);
      for (const _ of ['once', 'again']) {
        const { stdout } = await repeat(add as RecordedCall);
        expect(JSON.parse(stdout)).toMatchObject({ ips: [{ address: '10.6.0.1/24' }] });
        const [pool] = await openDatastore({ kind: 'file', dataDir, networkName: '' }, node.scope).pools();
        expect(pool?.held.map(({ entry }) => entry.podref)).toEqual([`lab/${pod}`]);
        for (const del of dels) {
          expect(await repeat(del)).toMatchObject({ exitCode: 0, stdout: '' });
        }
      }
    },
  );
});
