import { type Cidr, formatCidr, parseCidr } from '../net/cidr.ts';
import { bitsOf, formatIp, parseIp } from '../net/ip.ts';
import { CniError, messageOf, quoted } from './errors.ts';
import { isObject, type Json, type JsonObject, lookUp, parseJson, sorted } from './json.ts';
import { familyOf, isVersion, type Version } from './versions.ts';

/** A result in the newest version's shape, whatever version it is read from or printed as. */
export interface Result {
  readonly interfaces: readonly Interface[];
  readonly ips: readonly IpConfig[];
  readonly routes: readonly Route[];
  readonly dns: Dns;
}

export interface Interface {
  readonly name: string;
  readonly mac?: string;
  readonly mtu?: number;
  readonly sandbox?: string;
  readonly socketPath?: string;
  readonly pciID?: string;
}

export interface IpConfig {
  /** `address/length`, host bits kept */
  readonly address: string;
  readonly gateway?: string;
  /** index into `interfaces` */
  readonly interface?: number;
}

export interface Route {
  /** `address/length` */
  readonly dst: string;
  readonly gw?: string;
  readonly mtu?: number;
  readonly advmss?: number;
  readonly priority?: number;
  readonly table?: number;
  readonly scope?: number;
}

export interface Dns {
  readonly nameservers?: readonly string[];
  readonly domain?: string;
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}

const MAX_U8 = 2 ** 8 - 1;
const MAX_U32 = 2 ** 32 - 1;

export const EMPTY_RESULT: Result = { interfaces: [], ips: [], routes: [], dns: {} };

/**
 * The result as `version` prints it, with Go's key order.
 *
 * @throws CniError internal for 0.1.0 and 0.2.0 when there is no address
 */
export function formatResult(result: Result, version: Version): JsonObject {
  switch (familyOf(version)) {
    case '1.0':
      return sorted(
        definedOnly({
          cniVersion: version,
          interfaces: filled(result.interfaces.map((entry) => definedOnly({ ...entry }))),
          ips: filled(result.ips.map((entry) => definedOnly({ ...entry }))),
          routes: filled(result.routes.map(formatRoute)),
          dns: isEmptyDns(result.dns) ? undefined : formatDns(result.dns),
        }),
      );
    case '0.3':
      return definedOnly({
        cniVersion: version,
        interfaces: filled(result.interfaces.map(({ name, mac, sandbox }) => definedOnly({ name, mac, sandbox }))),
        ips: filled(result.ips.map((ip) => formatVersionedIp(ip))),
        routes: filled(result.routes.map(formatRoute)),
        dns: formatDns(result.dns),
      });
    case '0.1':
      return formatOldest(result, version);
  }
}

/**
 * Reads what another plugin has printed for ADD.
 *
 * @returns undefined for `null`, which Go's plugins print when they have nothing to tell
 * @throws CniError internal with the text, when it is no JSON object
 */
export function parseStdout(stdout: string): JsonObject | undefined {
  const fail = (why: string): CniError =>
    new CniError('internal', `cannot read the result ${JSON.stringify(stdout)}: ${why}`);
  let value: unknown;
  try {
    value = parseJson(stdout);
  } catch (error) {
    throw fail(messageOf(error).replaceAll('\n', ' ')); // it quotes the text
  }
  if (value !== null && !isObject(value)) {
    throw fail('it is not an object');
  }
  return value ?? undefined;
}

/**
 * Reads a result or a prevResult.
 *
 * @param assumed the version if the object names none: that of the configuration
 * @throws CniError internal (999) naming key and value when the object is not a result of that version
 */
export function parseResult(value: Json | undefined, assumed: Version, what = 'result'): Result & { version: Version } {
  if (value === null || value === undefined) {
    return { ...EMPTY_RESULT, version: assumed };
  }
  if (!isObject(value)) {
    throw invalid(what, 'is not an object', value);
  }
  const text = lookUp(value, 'cniVersion') ?? '';
  if (typeof text !== 'string') {
    throw invalid(`${what}.cniVersion`, 'is not a string', text);
  }
  const version = text === '' ? assumed : text;
  if (!isVersion(version)) {
    throw new CniError('internal', `cannot read the ${what}: unsupported cniVersion "${version}"`);
  }
  const dns = parseDns(lookUp(value, 'dns'), `${what}.dns`);
  if (familyOf(version) === '0.1') {
    const parts = (['ip4', 'ip6'] as const).map((key) => parseOldIp(lookUp(value, key), `${what}.${key}`));
    return {
      version,
      interfaces: [],
      ips: parts.flatMap((part) => part.ips),
      routes: parts.flatMap((part) => part.routes),
      dns,
    };
  }
  return {
    version,
    interfaces: listOf(lookUp(value, 'interfaces'), `${what}.interfaces`).map(parseInterface),
    ips: listOf(lookUp(value, 'ips'), `${what}.ips`).map(parseIpConfig),
    routes: parseRoutes(lookUp(value, 'routes'), `${what}.routes`),
    dns,
  };
}

/**
 * Routes as in configurations and results.
 *
 * @throws CniError naming the key when a destination is not a CIDR, a gateway not an address, a number invalid
 */
export function parseRoutes(value: Json | undefined, what: string): readonly Route[] {
  return listOf(value, what).map((entry, index) => parseRoute(entry, `${what}[${index}]`));
}

/** @throws CniError naming the key when a member has the wrong type */
export function parseDns(value: Json | undefined, what: string): Dns {
  if (value === null || value === undefined) {
    return {};
  }
  if (!isObject(value)) {
    throw invalid(what, 'is not an object', value);
  }
  const domain = lookUp(value, 'domain') ?? '';
  if (typeof domain !== 'string') {
    throw invalid(`${what}.domain`, 'is not a string', domain);
  }
  return definedOnly({
    nameservers: textsOf(lookUp(value, 'nameservers'), `${what}.nameservers`),
    domain: domain === '' ? undefined : domain,
    search: textsOf(lookUp(value, 'search'), `${what}.search`),
    options: textsOf(lookUp(value, 'options'), `${what}.options`),
  }) as Dns;
}

export const isEmptyDns = (dns: Dns): boolean => Object.keys(dns).length === 0;

export const cidrOf = (ip: IpConfig): Cidr => {
  const cidr = parseCidr(ip.address);
  if (cidr === undefined) {
    throw invalid('address', 'is not a CIDR', ip.address);
  }
  return cidr;
};

function formatRoute(route: Route): JsonObject {
  const { dst, gw, mtu, advmss, priority, table, scope } = route;
  return definedOnly({
    dst,
    gw,
    mtu: mtu || undefined,
    advmss: advmss || undefined,
    priority: priority || undefined,
    table,
    scope,
  });
}

const formatDns = ({ nameservers, domain, search, options }: Dns): JsonObject =>
  definedOnly({ nameservers, domain, search, options });

function formatVersionedIp(ip: IpConfig): JsonObject {
  const version = String(cidrOf(ip).ip.family);
  return definedOnly({ version, interface: ip.interface, address: ip.address, gateway: ip.gateway });
}

function formatOldest(result: Result, version: Version): JsonObject {
  const part = (family: 4 | 6): JsonObject | undefined => {
    const first = result.ips.find((ip) => cidrOf(ip).ip.family === family);
    const routes = result.routes.filter((route) => parseCidr(route.dst)?.ip.family === family);
    return first && definedOnly({ ip: first.address, gateway: first.gateway, routes: filled(routes.map(dstAndGw)) });
  };
  const [ip4, ip6] = [part(4), part(6)];
  if (ip4 === undefined && ip6 === undefined) {
    throw new CniError('internal', `cannot print the result as version ${version}: it has no valid IP address`);
  }
  return definedOnly({ cniVersion: version, ip4, ip6, dns: formatDns(result.dns) });
}

const dstAndGw = ({ dst, gw }: Route): JsonObject => definedOnly({ dst, gw });

function parseInterface(value: Json, index: number): Interface {
  const what = `interfaces[${index}]`;
  const object = objectOf(value, what);
  return definedOnly({
    name: textOf(lookUp(object, 'name'), `${what}.name`) ?? '',
    mac: textOf(lookUp(object, 'mac'), `${what}.mac`),
    mtu: wholeOf(lookUp(object, 'mtu'), `${what}.mtu`) || undefined,
    sandbox: textOf(lookUp(object, 'sandbox'), `${what}.sandbox`),
    socketPath: textOf(lookUp(object, 'socketPath'), `${what}.socketPath`),
    pciID: textOf(lookUp(object, 'pciID'), `${what}.pciID`),
  }) as unknown as Interface;
}

function parseIpConfig(value: Json, index: number): IpConfig {
  const what = `ips[${index}]`;
  const object = objectOf(value, what);
  return definedOnly({
    address: cidrTextOf(lookUp(object, 'address'), `${what}.address`),
    gateway: ipTextOf(lookUp(object, 'gateway'), `${what}.gateway`),
    interface: wholeOf(lookUp(object, 'interface'), `${what}.interface`),
  }) as unknown as IpConfig;
}

function parseOldIp(value: Json | undefined, what: string): { ips: IpConfig[]; routes: readonly Route[] } {
  if (value === null || value === undefined) {
    return { ips: [], routes: [] };
  }
  const object = objectOf(value, what);
  const address = cidrTextOf(lookUp(object, 'ip'), `${what}.ip`);
  const gateway = ipTextOf(lookUp(object, 'gateway'), `${what}.gateway`);
  return {
    ips: [gateway === undefined ? { address } : { address, gateway }],
    routes: parseRoutes(lookUp(object, 'routes'), `${what}.routes`),
  };
}

function parseRoute(value: Json, what: string): Route {
  const object = objectOf(value, what);
  return definedOnly({
    dst: cidrTextOf(lookUp(object, 'dst'), `${what}.dst`),
    gw: ipTextOf(lookUp(object, 'gw'), `${what}.gw`),
    mtu: wholeOf(lookUp(object, 'mtu'), `${what}.mtu`, MAX_U32) || undefined,
    advmss: wholeOf(lookUp(object, 'advmss'), `${what}.advmss`, MAX_U32) || undefined,
    priority: wholeOf(lookUp(object, 'priority'), `${what}.priority`, MAX_U32) || undefined,
    table: wholeOf(lookUp(object, 'table'), `${what}.table`, MAX_U32),
    scope: wholeOf(lookUp(object, 'scope'), `${what}.scope`, MAX_U8),
  }) as unknown as Route;
}

function listOf(value: Json | undefined, what: string): readonly Json[] {
  if (value === null || value === undefined) {
    return [];
  }
  if (!Array.isArray(value)) {
    throw invalid(what, 'is not a list', value as Json);
  }
  return value as readonly Json[];
}

function objectOf(value: Json | undefined, what: string): JsonObject {
  if (!isObject(value)) {
    throw invalid(what, 'is not an object', value ?? null);
  }
  return value;
}

function textOf(value: Json | undefined, what: string): string | undefined {
  if (value === null || value === undefined || value === '') {
    return undefined;
  }
  if (typeof value !== 'string') {
    throw invalid(what, 'is not a string', value);
  }
  return value;
}

function textsOf(value: Json | undefined, what: string): readonly string[] | undefined {
  const texts = listOf(value, what).map((entry, index) => textOf(entry, `${what}[${index}]`) ?? '');
  return texts.length === 0 ? undefined : texts;
}

function wholeOf(value: Json | undefined, what: string, max = MAX_U32): number | undefined {
  if (value === null || value === undefined) {
    return undefined;
  }
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > max) {
    throw invalid(what, `is not a whole number from 0 to ${max}`, value);
  }
  return value;
}

function cidrTextOf(value: Json | undefined, what: string): string {
  const cidr = typeof value === 'string' ? parseCidr(value) : undefined;
  if (cidr === undefined) {
    throw invalid(what, 'is not a CIDR address', value ?? null);
  }
  return formatCidr(cidr);
}

function ipTextOf(value: Json | undefined, what: string): string | undefined {
  const text = textOf(value, what);
  if (text === undefined) {
    return undefined;
  }
  const ip = parseIp(text);
  if (ip === undefined) {
    throw invalid(what, 'is not an IP address', text);
  }
  return formatIp(ip);
}

const invalid = (what: string, fault: string, value: Json): CniError =>
  new CniError('invalidNetworkConfig', `cannot read "${what}": ${quoted(value)} ${fault}`);

const filled = <T>(list: readonly T[]): readonly T[] | undefined => (list.length === 0 ? undefined : list);

function definedOnly(object: Record<string, unknown>): JsonObject {
  const defined: Record<string, unknown> = {};
  for (const key of Object.keys(object)) {
    if (object[key] !== undefined) {
      defined[key] = object[key];
    }
  }
  return defined as JsonObject;
}

/** The prefix length of a single address. */
export const hostPrefix = (address: string): number => bitsOf(parseCidr(address)?.ip.family ?? 4);
