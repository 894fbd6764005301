import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { CLIENTS } from './lazy-client.ts';
import { configMap } from './testing/objects.ts';
import { reply, serve } from './testing/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'braid-lazy-client-'));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function kubeconfigFor(server: string): string {
  const path = join(folder, 'kubeconfig');
  const named = (kind: string, value: object) => [{ name: 'a', [kind]: value }];
  const context = named('context', { cluster: 'a', user: 'a' });
  const document = { clusters: named('cluster', { server }), users: named('user', { token: 'a' }), contexts: context };
  writeFileSync(path, JSON.stringify({ ...document, 'current-context': 'a' }));
  return path;
}

describe('the clients of a process', () => {
  it('are one for a kubeconfig: those who share it share its connections, and each has its own namespace', async () => {
    await using server = await serve((_, answer) => reply(answer, 200, { kind: 'ConfigMap', metadata: { name: 'a' } }));
    const kubeconfig = kubeconfigFor(server.url);
    using clients = CLIENTS.make();
    const one = await clients.at({ kubeconfig }, {}).open(undefined, { namespace: 'one' });
    const other = await clients.at({ kubeconfig }, {}).open(undefined, { namespace: 'other' });
    await one.get(configMap('a'));
    await other.get(configMap('a'));
    expect([one.namespace, other.namespace]).toEqual(['one', 'other']);
    expect(server.connections()).toBe(1);
  });
});
