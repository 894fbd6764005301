import { X509Certificate } from 'node:crypto';
import { getCACertificates } from 'node:tls';
import { expect, it } from 'vitest';
import { knownAuthorities } from './known-authorities.ts';

it('are those that Node brings, and those of the system', async () => {
  const all = new Set(await knownAuthorities());
  expect(getCACertificates('system').every((one) => all.has(one))).toBe(true);
  const names = [...all].map((one) => new X509Certificate(one).subject);
  expect(names.filter((name) => name.includes('CN=ISRG Root X1'))).not.toEqual([]);
});
