import { describe, expect, it } from 'vitest';
import { makeServer } from '../cni/serve.ts';
import { fakePlugin } from '../cni/testing/fake-plugin.ts';
import { fakeScope } from '../cni/testing/fake-scope.ts';
import { serveInOrder } from './attend.ts';

const NOBODY_GOES = new AbortController().signal;

describe('calls that an agent serves', () => {
  it('have a sandbox to themselves until they end; those for other sandboxes begin meanwhile', async () => {
    const [begun, { promise: patience, resolve: letGo }] = [[] as string[], Promise.withResolvers<void>()];
    const plugin = fakePlugin('waiting', {
      del: async ({ containerId, ifName }) => {
        begun.push(`${containerId} ${ifName}`);
        await patience;
      },
    });
    const { node, suite } = fakeScope();
    const server = makeServer(node, suite);
    const conf = Buffer.from(JSON.stringify({ cniVersion: '1.1.0', name: 'n', type: plugin.name }));
    const call = (container: string, ifName: string) => {
      const env = { CNI_COMMAND: 'DEL', CNI_CONTAINERID: container, CNI_IFNAME: ifName, CNI_PATH: '/bin' };
      return serveInOrder(server, async () => plugin, { env, readStdin: () => conf }, NOBODY_GOES);
    };
    const calls = [call('c1', 'eth0'), call('c1', 'net1'), call('c2', 'eth0')];
    await expect.poll(() => begun).toContain('c2 eth0');
    expect(begun).toEqual(['c1 eth0', 'c2 eth0']);
    letGo();
    expect(await Promise.all(calls)).toMatchObject(calls.map(() => ({ exitCode: 0 })));
    expect(begun).toEqual(['c1 eth0', 'c2 eth0', 'c1 net1']);
  });
});
