/** Certificates for tests: X.509 (RFC 5280) in as few fields as TLS needs, with a key on P-256. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { isIP } from 'node:net';

export interface Certified {
  readonly certificate: string;
  readonly key: string;
}

export interface Authority extends Certified {
  readonly name: string;
  readonly privateKey: KeyObject;
}

export interface Wanted {
  readonly name: string;
  /** groups of a user */
  readonly organization?: string;
  /** names and IPv4 addresses of a server */
  readonly hosts?: readonly string[];
  readonly from?: Date;
  readonly to?: Date;
}

const DAY_MS = 86_400_000;

const TAG = { true: 0x01, integer: 0x02, bits: 0x03, octets: 0x04, oid: 0x06, utf8: 0x0c, time: 0x18 } as const;
const SEQUENCE = 0x30;
const SET = 0x31;
/** constructed, of the context */
const FIELD = 0xa0;

const OID = {
  ecdsaWithSha256: '2a8648ce3d040302',
  commonName: '550403',
  organization: '55040a',
  basicConstraints: '551d13',
  alternativeName: '551d11',
} as const;

export function makeAuthority(name: string): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const isAuthority = extension(OID.basicConstraints, sequence(der(TAG.true, Buffer.of(0xff))));
  const certificate = issue({ name }, publicKey, { name, privateKey }, [isAuthority]);
  return { name, privateKey, certificate, key: pemOfKey(privateKey) };
}

export function certify(wanted: Wanted, authority: Authority): Certified {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { hosts = [] } = wanted;
  const extensions = hosts.length === 0 ? [] : [extension(OID.alternativeName, sequence(...hosts.map(alternative)))];
  return { certificate: issue(wanted, publicKey, authority, extensions), key: pemOfKey(privateKey) };
}

function issue(
  { name, organization, from = new Date(Date.now() - DAY_MS), to = new Date(Date.now() + DAY_MS) }: Wanted,
  publicKey: KeyObject,
  issuer: Pick<Authority, 'name' | 'privateKey'>,
  extensions: readonly Buffer[],
): string {
  const algorithm = sequence(oid(OID.ecdsaWithSha256));
  const signed = sequence(
    der(FIELD, der(TAG.integer, Buffer.of(2))), // version 3
    der(TAG.integer, Buffer.of(1 + Math.floor(Math.random() * 126))),
    algorithm,
    nameOf(issuer.name),
    sequence(time(from), time(to)),
    nameOf(name, organization),
    publicKey.export({ type: 'spki', format: 'der' }),
    ...(extensions.length === 0 ? [] : [der(FIELD + 3, sequence(...extensions))]),
  );
  const signature = sign('sha256', signed, issuer.privateKey);
  const bytes = sequence(signed, algorithm, der(TAG.bits, Buffer.of(0), signature));
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

const pemOfKey = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

/** A tag, the length, the content. */
function der(tag: number, ...content: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat(content);
  const { length } = bytes;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...size), bytes]);
}

const sequence = (...content: readonly Buffer[]): Buffer => der(SEQUENCE, ...content);
const oid = (hex: string): Buffer => der(TAG.oid, Buffer.from(hex, 'hex'));
const extension = (id: string, value: Buffer): Buffer => sequence(oid(id), der(TAG.octets, value));

/** `20260101000000Z` */
const time = (date: Date): Buffer =>
  der(TAG.time, Buffer.from(`${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`));

const nameOf = (commonName: string, organization?: string): Buffer =>
  sequence(
    ...(organization === undefined ? [] : [attribute(OID.organization, organization)]),
    attribute(OID.commonName, commonName),
  );

const attribute = (id: string, value: string): Buffer => der(SET, sequence(oid(id), der(TAG.utf8, Buffer.from(value))));

const alternative = (host: string): Buffer =>
  isIP(host) === 4 ? der(0x87, Buffer.from(host.split('.').map(Number))) : der(0x82, Buffer.from(host));
