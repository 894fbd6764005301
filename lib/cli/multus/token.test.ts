import { describe, expect, it } from 'vitest';
import type { Access } from '../../kube/access.ts';
import { type FakeServer, serve } from '../../kube/testing/server.ts';
import { tokensOf } from './token.ts';

const HOUR = 3_600_000;

const accessTo = (server: string, token = 'pod-1'): Access => ({
  server,
  namespace: 'net',
  tls: { ca: undefined, certificate: undefined, key: undefined, serverName: undefined, isUnverified: true },
  token,
  origin: 'a test',
});

/** Gives tokens that are good for a day, unless it is told to refuse. */
async function issuing(state: { nowMs: number; isAway?: boolean }): Promise<FakeServer> {
  let count = 0;
  return serve((_, answer) => {
    const expirationTimestamp = new Date(state.nowMs + 24 * HOUR).toISOString();
    answer.writeHead(state.isAway ? 403 : 201, { 'Content-Type': 'application/json' });
    answer.end(
      JSON.stringify(
        state.isAway
          ? { kind: 'Status', message: 'no', reason: 'Forbidden', code: 403 }
          : {
              kind: 'TokenRequest',
              metadata: { name: 'plugins' },
              status: { token: `plugin-${++count}`, expirationTimestamp },
            },
      ),
    );
  });
}

describe('tokens of plugins', () => {
  it('are those of the pod where no account is named', async () => {
    const tokenFor = tokensOf(undefined);
    expect(await tokenFor(accessTo('https://nowhere'))).toBe('pod-1');
    expect(await tokenFor({ ...accessTo('https://nowhere'), token: undefined })).toBe(undefined);
  });

  it('are asked for as the pod, once in half of their life, and whenever the pod has a new one', async () => {
    const state = { nowMs: Date.UTC(2030, 0) };
    await using server = await issuing(state);
    const tokenFor = tokensOf('plugins', () => state.nowMs);
    const ask = (token?: string) => tokenFor(accessTo(server.url, token));
    expect([await ask(), await ask()]).toEqual(['plugin-1', 'plugin-1']);
    const [first] = server.received;
    expect(first).toMatchObject({ method: 'POST', url: '/api/v1/namespaces/net/serviceaccounts/plugins/token' });
    expect(first?.headers.authorization).toBe('Bearer pod-1');
    expect(JSON.parse(first?.body ?? '')).toMatchObject({ kind: 'TokenRequest', spec: { expirationSeconds: 86_400 } });
    expect(JSON.parse(first?.body ?? '').spec).not.toHaveProperty('boundObjectRef');
    state.nowMs += 11 * HOUR;
    expect(await ask()).toBe('plugin-1');
    state.nowMs += 2 * HOUR;
    expect([await ask(), await ask('pod-2')]).toEqual(['plugin-2', 'plugin-3']);
  });

  it('stay as long as they are good when no other can be had', async () => {
    const state = { nowMs: Date.UTC(2030, 0), isAway: false };
    await using server = await issuing(state);
    const tokenFor = tokensOf('plugins', () => state.nowMs);
    const ask = () => tokenFor(accessTo(server.url));
    expect(await ask()).toBe('plugin-1');
    state.isAway = true;
    state.nowMs += 23 * HOUR;
    expect(await ask()).toBe('plugin-1');
    state.nowMs += 2 * HOUR;
    await expect(ask()).rejects.toThrow('serviceaccounts/token "plugins" in "net"');
  });
});
