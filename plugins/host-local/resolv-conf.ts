import { readFileSync } from 'node:fs';
import type { Dns } from '../../lib/cni/result.ts';
import { ioError } from '../../lib/sys/io-error.ts';

/** @throws CniError ioFailure */
export function readResolvConf(path: string): Dns {
  try {
    return parseResolvConf(readFileSync(path, 'utf8'));
  } catch (error) {
    throw ioError('read "ipam.resolvConf"', path, error);
  }
}

/** The settings of a resolv.conf(5): a domain is the last that is written, of all else each counts. */
export function parseResolvConf(text: string): Dns {
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/));
  const valuesOf = (keyword: string): readonly (readonly string[])[] =>
    lines.filter(([first, second]) => first === keyword && second !== undefined).map(([, ...values]) => values);
  const nameservers = valuesOf('nameserver').flatMap(([address]) => address ?? []);
  const [domain, search, options] = [valuesOf('domain').at(-1)?.[0], valuesOf('search'), valuesOf('options')];
  return {
    ...(nameservers.length === 0 ? {} : { nameservers }),
    ...(domain === undefined ? {} : { domain }),
    ...(search.length === 0 ? {} : { search: search.flat() }),
    ...(options.length === 0 ? {} : { options: options.flat() }),
  };
}
