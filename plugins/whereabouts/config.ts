import {
  type Conf,
  conf,
  dns,
  flag,
  integer,
  list,
  object,
  oneOf,
  routes,
  section,
  text,
  word,
} from '../../lib/cni/config.ts';
import { DEFAULT_DATA_DIR } from './place.ts';

/** What says where reservations are kept. DEL reads nothing else, so that no other fault can stop it. */
const store = {
  datastore: oneOf(
    ['', 'file', 'kubernetes', 'etcd'],
    '',
    'where reservations are kept: "file" (this node only) or "kubernetes", which is the default; "etcd" of old configurations means "kubernetes" too',
  ),
  data_dir: text(
    `folder of the "file" datastore, or of this node's journal of the "kubernetes" one; ${DEFAULT_DATA_DIR} when empty`,
  ),
  network_name: text('separates pools: the same range under two names is two pools'),
  configuration_path: text('a flat file to read instead of those in the usual places; it must exist'),
  kubernetes: section(
    {
      kubeconfig: text(
        'path of the kubeconfig for the "kubernetes" datastore; pools are in the namespace of its context, else in kube-system',
      ),
      k8s_api_root: text('accepted, not used'),
    },
    'access to the "kubernetes" datastore',
  ),
  concurrency: oneOf(
    ['', 'cas', 'strict', 'lease'],
    '',
    'how nodes change a pool of the "kubernetes" datastore: "cas" (the default) is refused when somebody has changed the same addresses, "strict" when anything of the pool has changed; "lease" is "strict" under the lease of the Go plugin, one call at a time',
  ),
  log_file: text('append what is done, and what is wrong, to this file'),
  log_level: text(
    '"debug" (the default), "verbose", "error" or "panic"; without log_file, "debug" and "verbose" write what is done to stderr, where otherwise only is what is wrong',
  ),
};

const bounds = {
  range: text('"10.1.0.0/16", or "10.1.0.20-10.1.0.90/16" for a part of it; IPv6 likewise'),
  range_start: text('first address to hand out; the first of the range when empty'),
  range_end: text('last address to hand out; the last of the range when empty'),
  exclude: list(text('a CIDR or an address'), 'CIDRs and addresses that are never handed out'),
};

const ipam = {
  type: word('whereabouts', 'must be "whereabouts"'),
  ...store,
  ...bounds,
  ipRanges: list(
    object(bounds),
    'more ranges, each with range, range_start, range_end and exclude: one address of each is given, in this order',
  ),
  gateway: text('given with every address of its own family; not reserved, so exclude it'),
  addresses: list(
    object({ address: text('an address with its prefix length'), gateway: text('its gateway') }),
    'static addresses, given after those of the ranges and not reserved',
  ),
  routes: routes('copied into the result'),
  dns: dns('copied into the result'),
  enable_overlapping_ranges: flag(
    'never give out an address that another range of the same network_name holds; a flat file cannot set it',
    true,
  ),
  node_slice_size: text(
    'length of the prefix of a slice ("/26"): each node gives addresses of its own slice of the range only; with the "kubernetes" datastore',
  ),
  leader_lease_duration: integer(
    'with "concurrency": "lease": milliseconds, in whole seconds rounded down; 1500 when 0',
  ),
  leader_renew_deadline: integer(
    'with "concurrency": "lease": milliseconds; who cannot renew the lease for so long has lost it; 1000 when 0',
  ),
  leader_retry_period: integer('with "concurrency": "lease": milliseconds between tries; 500 when 0'),
  sleep_for_race: integer('seconds; accepted, not used by the "file" datastore'),
  reconciler_cron_expression: text('accepted, read by the reconciler only'),
};

/** A flat file: the keys of `ipam`, not wrapped. */
export const IpamConf = object(ipam);
export type IpamConf = Conf<typeof IpamConf>;

export const StoreConf = object(store);
export type StoreConf = Conf<typeof StoreConf>;

/** The whole document: whereabouts gets the configuration of the plugin that asked it. */
export const WhereaboutsConf = conf({
  ipam: section(ipam, 'where addresses come from'),
});
export type WhereaboutsConf = Conf<typeof WhereaboutsConf>;
