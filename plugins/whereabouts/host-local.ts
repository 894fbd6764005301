import { isObject, type JsonObject } from '../../lib/cni/json.ts';

/** Keys of host-local, and what is meant by them here: nothing reads them, and their values would be lost in silence. */
const HOST_LOCAL: Readonly<Record<string, string>> = {
  subnet: 'range',
  rangeStart: 'range_start',
  rangeEnd: 'range_end',
  ranges: 'ipRanges',
  dataDir: 'data_dir',
  resolvConf: 'dns',
};

const MEANT = new Map(Object.entries(HOST_LOCAL).map(([key, meant]) => [key.toLowerCase(), meant]));

const ofHostLocal = (meant: string): string => `is a key of host-local: write "${meant}"`;

/** For `braid doctor`. */
export const MISNOMERS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(HOST_LOCAL).map(([key, meant]) => [key, ofHostLocal(meant)])),
  secondary_range: 'is no key of whereabouts: write another range into "ipRanges"',
  ...Object.fromEntries(
    ['host', 'username', 'password', 'key_file', 'cert_file', 'ca_cert_file'].map((key) => [
      `etcd_${key}`,
      'is a key of whereabouts before 0.6, which had an etcd datastore: write "datastore": "file"',
    ]),
  ),
};

/** host-local has a gateway for each range, whereabouts one for all. */
const RANGE_GATEWAY = 'gateway';

/** What keys of host-local in `ipam` mean, one phrase for each: `"subnet" is a key of host-local: write "range"`. */
export function hostLocalIn(ipam: object): readonly string[] {
  const own = phrasesOf(ipam as JsonObject);
  const inRanges = listIn(ipam as JsonObject, 'ipRanges').flatMap((item, index) => hostLocalInRange(item, index));
  return [...own, ...inRanges];
}

function hostLocalInRange(item: JsonObject, index: number): readonly string[] {
  const where = `ipRanges[${index}].`;
  const gateway = Object.keys(item).find((key) => key.toLowerCase() === RANGE_GATEWAY);
  return [
    ...phrasesOf(item, where),
    ...(gateway === undefined
      ? []
      : [`"${where}${gateway}" has no effect, ranges have none of their own here: write "gateway" beside "ipRanges"`]),
  ];
}

const phrasesOf = (object: JsonObject, where = ''): readonly string[] =>
  Object.keys(object).flatMap((key) => {
    const meant = MEANT.get(key.toLowerCase());
    return meant === undefined ? [] : [`"${where}${key}" ${ofHostLocal(meant)}`];
  });

const listIn = (object: JsonObject, key: string): readonly JsonObject[] => {
  const value = object[key];
  return Array.isArray(value) ? value.filter(isObject) : [];
};
