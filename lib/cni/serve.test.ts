import { describe, expect, it } from 'vitest';
import type { Plugin } from './plugin.ts';
import { makeServer, serve } from './serve.ts';
import { fakePlugin } from './testing/fake-plugin.ts';
import { fakeScope } from './testing/fake-scope.ts';

/** More than a process serves at the same time. */
const MANY = 100;

function serverOf(plugin: Plugin) {
  const { node, suite } = fakeScope();
  const server = makeServer(node, suite);
  const conf = Buffer.from(JSON.stringify({ cniVersion: '1.1.0', name: 'n', type: plugin.name }));
  return (verb: string, container = 'c1') => {
    const env = { CNI_COMMAND: verb, CNI_CONTAINERID: container, CNI_IFNAME: 'eth0', CNI_NETNS: '', CNI_PATH: '/bin' };
    return serve(server, plugin, { env, readStdin: () => conf });
  };
}

describe('a process that serves many calls', () => {
  it('answers STATUS, VERSION and DEL while more calls wait than it serves at once', async () => {
    const { promise: patience, resolve } = Promise.withResolvers<void>();
    const call = serverOf(fakePlugin('waiting', { gc: () => patience })); // as an ADD may, but in no namespace
    let ended = 0;
    const waiting = Array.from({ length: MANY }, (_, index) => call('GC', `c${index}`).finally(() => ended++));
    for (const verb of ['STATUS', 'VERSION', 'DEL']) {
      expect(await call(verb), verb).toMatchObject({ exitCode: 0 });
    }
    expect(ended).toBe(0);
    resolve();
    await Promise.all(waiting);
  });
});
