import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { certify, makeAuthority } from '../testing/certificates.ts';
import { posterTo } from './post.ts';

it('tells nothing to a collector whose certificate nobody known has signed', async () => {
  const { certificate, key } = certify({ name: 'collector', hosts: ['127.0.0.1'] }, makeAuthority('unknown'));
  const bodies: string[] = [];
  const server = createServer({ cert: certificate, key }, (request, answer) => {
    request.on('data', (bytes: Buffer) => bodies.push(bytes.toString()));
    answer.end('{}');
  });
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const post = posterTo({ url: new URL(`https://127.0.0.1:${port}/`), headers: {}, timeoutMs: 30_000 });
  await expect(post('{}', new AbortController().signal)).rejects.toThrow(/unable to|self-signed/);
  expect(bodies).toEqual([]);
  server.closeAllConnections();
  server.close();
});
