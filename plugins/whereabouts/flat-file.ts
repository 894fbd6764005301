import { readFileSync, statSync } from 'node:fs';
import { readConf, type Schema } from '../../lib/cni/config.ts';
import { CniError, messageOf } from '../../lib/cni/errors.ts';
import { isObject, type Json } from '../../lib/cni/json.ts';
import { Glances } from '../../lib/sys/glance.ts';
import { ioError } from '../../lib/sys/io-error.ts';
import { confFault } from './place.ts';

/** The usual places, the last one as a pod with the node's files sees it. */
export const FLAT_FILES: readonly string[] = [
  '/etc/kubernetes/cni/net.d/whereabouts.d/whereabouts.conf',
  '/etc/cni/net.d/whereabouts.d/whereabouts.conf',
  '/host/etc/cni/net.d/whereabouts.d/whereabouts.conf',
];

/** Always the configuration's own: a flat file must not switch the protection off for a whole node. */
const NOT_FROM_FLAT_FILE = 'enable_overlapping_ranges';

/** What to do where no datastore is named. */
export const SET_FILE = 'set "datastore": "file" to keep addresses on this node';

interface FromFlatFile {
  readonly datastore: string;
  readonly configuration_path: string;
  readonly kubernetes?: { readonly kubeconfig: string } | undefined;
}

/**
 * The configuration with its gaps filled from the node's flat file: the one that it names, else the first of the usual
 * places that exists, alone.
 *
 * @throws CniError invalidNetworkConfig when the file that is named is missing, when there is none at all and the
 * configuration names no datastore either, or when it is malformed; ioFailure when it cannot be read
 */
export function withFlatFile<T extends FromFlatFile>(schema: Schema<T>, conf: T, places = FLAT_FILES): T {
  const named = conf.configuration_path;
  if (isFlatFileMissing(conf)) {
    throw confFault('ipam.configuration_path', named, 'there is no such file');
  }
  const path = named !== '' ? named : places.find(isThere);
  if (path !== undefined) {
    return filledFrom(conf, readConf(schema, readJson(path), path));
  }
  if (conf.datastore === 'file' || (conf.kubernetes?.kubeconfig ?? '') !== '') {
    return conf;
  }
  throw new CniError(
    'invalidNetworkConfig',
    `config file not found: "ipam.datastore" is "${conf.datastore}" and there is no flat file that names a datastore; ${SET_FILE}`,
  );
}

/** Is the flat file that a configuration names missing? What it would have said, exclusions among it, is lost then. */
export const isFlatFileMissing = ({ configuration_path: path }: Pick<FromFlatFile, 'configuration_path'>): boolean =>
  path !== '' && !isThere(path);

/** `conf`, with `more` where it has nothing: '', 0, false, an empty list. Sections are filled key by key. */
export function filledFrom<T extends object>(conf: T, more: T): T {
  const [mine, other] = [conf, more] as Record<string, unknown>[];
  const filled = Object.entries({ ...other, ...mine }).map(([key, value]) => {
    const fallback = other?.[key];
    if (key === NOT_FROM_FLAT_FILE || fallback === undefined) {
      return [key, value];
    }
    return [
      key,
      isObject(value) && isObject(fallback) ? filledFrom(value, fallback) : isNothing(value) ? fallback : value,
    ];
  });
  return Object.fromEntries(filled) as T;
}

const isNothing = (value: unknown): boolean =>
  value === undefined || value === '' || value === 0 || value === false || (Array.isArray(value) && value.length === 0);

/** Networks of a pod look at the same places. */
const glances = new Glances();

/** A path that cannot be looked at counts as there, so that reading it tells why. */
const isThere = (path: string): boolean =>
  glances.at(path, () => {
    try {
      return statSync(path, { throwIfNoEntry: false }) !== undefined;
    } catch {
      return true;
    }
  });

function readJson(path: string): Json {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw ioError('read flat file', path, error);
  }
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw new CniError('invalidNetworkConfig', `cannot read flat file "${path}": ${messageOf(error)}`);
  }
}
