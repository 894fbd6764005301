import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { CniError, withPrefix } from '../cni/errors.ts';
import { ioError } from '../sys/io-error.ts';
import type { Access, TlsAccess } from './access.ts';
import { parseYaml } from './yaml.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Ways to log in that need a program, or that no API server knows any more; and acting as somebody else. */
const REFUSED_OF_USER = [
  'exec',
  'auth-provider',
  'username',
  'password',
  'as',
  'as-uid',
  'as-groups',
  'as-user-extra',
] as const;

/**
 * Reads a kubeconfig file, and the files that it names: certificates, keys, a token.
 *
 * @param context undefined: the current one
 * @throws CniError naming the file; it quotes no secret
 */
export async function readKubeconfig(path: string, context?: string): Promise<Access> {
  const text = readText(path);
  try {
    const document = await parseYaml(text);
    return accessIn(fieldsOf(document, 'the document'), path, context);
  } catch (error) {
    throw withPrefix(`cannot use kubeconfig "${path}"`, error);
  }
}

function accessIn(config: Fields, path: string, wanted: string | undefined): Access {
  const name = wanted ?? textIn(config, 'current-context');
  if (name === undefined) {
    throw fault('it has no current-context');
  }
  const context = named(config, 'contexts', name, 'context');
  const cluster = named(config, 'clusters', required(context, 'cluster', `context "${name}"`), 'cluster');
  const userName = textIn(context, 'user');
  const user = userName === undefined ? {} : named(config, 'users', userName, 'user');
  const refused = REFUSED_OF_USER.find((key) => isSet(user[key]));
  if (refused !== undefined) {
    throw fault(
      `user "${userName}" has "${refused}", which is not supported: use a token, tokenFile, or client certificate`,
    );
  }
  if (textIn(cluster, 'proxy-url') !== undefined) {
    throw fault('its cluster has "proxy-url", which is not supported: the API server must be reached directly');
  }
  const folder = dirname(path);
  return {
    server: serverIn(cluster),
    namespace: textIn(context, 'namespace'),
    tls: tlsIn(cluster, user, folder),
    token: tokenIn(user, folder),
    origin: `kubeconfig "${path}"`,
  };
}

function serverIn(cluster: Fields): string {
  const text = required(cluster, 'server', 'its cluster');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['https:', 'http:'].includes(url.protocol) || url.username !== '' || url.search !== '') {
    throw fault('"server" must be a URL that begins with https:// or http://, without a user and a query');
  }
  return url.href.replace(/\/+$/, '');
}

function tlsIn(cluster: Fields, user: Fields, folder: string): TlsAccess {
  const certificate = inlineOrFile(user, 'client-certificate', folder);
  const key = inlineOrFile(user, 'client-key', folder);
  if ((certificate === undefined) !== (key === undefined)) {
    throw fault('a user needs both client-certificate and client-key, or neither');
  }
  return {
    ca: inlineOrFile(cluster, 'certificate-authority', folder),
    certificate,
    key,
    serverName: textIn(cluster, 'tls-server-name'),
    isUnverified: isTrue(cluster['insecure-skip-tls-verify']),
  };
}

/** What is inline comes first, as for kubectl. */
function inlineOrFile(fields: Fields, key: string, folder: string): string | undefined {
  const inline = textIn(fields, `${key}-data`);
  if (inline !== undefined) {
    const text = Buffer.from(inline, 'base64').toString('latin1');
    if (!text.includes('-----BEGIN ')) {
      throw fault(`"${key}-data" must be PEM in base64`);
    }
    return text;
  }
  const path = textIn(fields, key);
  return path === undefined ? undefined : readText(resolve(folder, path));
}

/** The file comes first, as for kubectl. */
function tokenIn(user: Fields, folder: string): string | undefined {
  const path = textIn(user, 'tokenFile');
  return path === undefined ? checkedToken(textIn(user, 'token') ?? '', '"token"') : readToken(resolve(folder, path));
}

/**
 * Reads a bearer token from its file.
 *
 * @throws CniError
 */
export function readToken(path: string): string {
  const token = checkedToken(readText(path), `the token in "${path}"`);
  if (token === undefined) {
    throw fault(`the token in "${path}" is empty`);
  }
  return token;
}

/** It becomes a part of a header, where not all characters may be. */
function checkedToken(text: string, what: string): string | undefined {
  const token = text.trim();
  if (!/^[!-~]*$/.test(token)) {
    throw fault(`${what} has characters that no token has`);
  }
  return token === '' ? undefined : token;
}

/** @throws CniError */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw ioError('read', path, error);
  }
}

/** An entry of a list of names, each with what is called so under `key`. */
function named(config: Fields, list: string, name: string, key: string): Fields {
  const entries = config[list] ?? [];
  if (!Array.isArray(entries)) {
    throw fault(`"${list}" must be a list`);
  }
  const found = entries
    .map((entry) => fieldsOf(entry, `an entry of "${list}"`))
    .find((e) => textIn(e, 'name') === name);
  if (found === undefined) {
    throw fault(`it has no ${key} "${name}"`);
  }
  return fieldsOf(found[key], `${key} "${name}"`);
}

function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw fault(`${what} must be an object`);
  }
  return value as Fields;
}

function required(fields: Fields, key: string, owner: string): string {
  const text = textIn(fields, key);
  if (text === undefined) {
    throw fault(`${owner} has no "${key}"`);
  }
  return text;
}

/** Absent, null and '' are the same. */
function textIn(fields: Fields, key: string): string | undefined {
  const value = fields[key];
  if (!isSet(value)) {
    return undefined;
  }
  if (typeof value !== 'string') {
    throw fault(`"${key}" must be a text`);
  }
  return value;
}

const isSet = (value: unknown): boolean => value !== undefined && value !== null && value !== '';
const isTrue = (value: unknown): boolean => value === true || value === 'true';

const fault = (why: string): CniError => new CniError('invalidNetworkConfig', why);
