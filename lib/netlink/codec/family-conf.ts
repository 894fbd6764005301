import { HOST_IS_LITTLE as LITTLE } from '../attributes.ts';

/**
 * Per-link settings of an address family, by position in the kernel's attribute, named as the files below
 * /proc/sys/net/<family>/conf/<link>. '' has no writable file. The kernel does not report stable_secret,
 * ra_honor_pio_life, ra_honor_pio_pflag and regen_min_advance.
 */
const INET: readonly string[] = [
  ...['forwarding', '', 'proxy_arp', 'accept_redirects', 'secure_redirects', 'send_redirects', 'shared_media'],
  ...['rp_filter', 'accept_source_route', 'bootp_relay', 'log_martians', 'tag', 'arp_filter', 'medium_id'],
  ...['disable_xfrm', 'disable_policy', 'force_igmp_version', 'arp_announce', 'arp_ignore', 'promote_secondaries'],
  ...['arp_accept', 'arp_notify', 'accept_local', 'src_valid_mark', 'proxy_arp_pvlan', 'route_localnet'],
  ...['igmpv2_unsolicited_report_interval', 'igmpv3_unsolicited_report_interval', 'ignore_routes_with_linkdown'],
  ...['drop_unicast_in_l2_multicast', 'drop_gratuitous_arp', 'bc_forwarding', 'arp_evict_nocarrier'],
];

const INET6: readonly string[] = [
  ...['forwarding', 'hop_limit', 'mtu', 'accept_ra', 'accept_redirects', 'autoconf', 'dad_transmits'],
  ...['router_solicitations', 'router_solicitation_interval', 'router_solicitation_delay', 'use_tempaddr'],
  ...['temp_valid_lft', 'temp_prefered_lft', 'regen_max_retry', 'max_desync_factor', 'max_addresses'],
  ...['force_mld_version', 'accept_ra_defrtr', 'accept_ra_pinfo', 'accept_ra_rtr_pref', 'router_probe_interval'],
  ...['accept_ra_rt_info_max_plen', 'proxy_ndp', 'optimistic_dad', 'accept_source_route', '', 'disable_ipv6'],
  ...['accept_dad', 'force_tllao', 'ndisc_notify', 'mldv1_unsolicited_report_interval'],
  ...['mldv2_unsolicited_report_interval', 'suppress_frag_ndisc', 'accept_ra_from_local', 'use_optimistic'],
  ...['accept_ra_mtu', '', 'use_oif_addrs_only', 'accept_ra_min_hop_limit', 'ignore_routes_with_linkdown'],
  ...['drop_unicast_in_l2_multicast', 'drop_unsolicited_na', 'keep_addr_on_down', 'router_solicitation_max_interval'],
  ...['seg6_enabled', 'seg6_require_hmac', 'enhanced_dad', 'addr_gen_mode', 'disable_policy'],
  ...['accept_ra_rt_info_min_plen', 'ndisc_tclass', 'rpl_seg_enabled', 'ra_defrtr_metric', 'ioam6_enabled'],
  ...['ioam6_id', 'ioam6_id_wide', 'ndisc_evict_nocarrier', 'accept_untracked_na', 'accept_ra_min_lft'],
  'force_forwarding',
];

export type ConfFamily = 'ipv4' | 'ipv6';

/** Settings that are times: reported in milliseconds, written in seconds. */
const TIMES: readonly string[] = [
  'router_solicitation_interval',
  'router_solicitation_delay',
  'router_probe_interval',
  'router_solicitation_max_interval',
];

/** Unsigned settings: the kernel refuses negative numbers. */
const UNSIGNED: readonly string[] = ['ra_defrtr_metric', 'ioam6_id_wide'];

export interface Setting {
  /** the file's name */
  readonly name: string;
  /** the file's content */
  readonly value: string;
}

/** The settings of `wanted` that differ in `found`. */
export function differingSettings(family: ConfFamily, wanted: Buffer, found: Buffer): readonly Setting[] {
  const [before, now] = [numbersIn(wanted), numbersIn(found)];
  return (family === 'ipv4' ? INET : INET6).flatMap((name, index) => {
    const value = before[index];
    return name === '' || value === undefined || value === now[index] ? [] : [{ name, value: textOf(name, value) }];
  });
}

function textOf(name: string, value: number): string {
  if (TIMES.includes(name)) {
    return String(Math.trunc(value / 1000));
  }
  return String(UNSIGNED.includes(name) ? value >>> 0 : value);
}

function numbersIn(bytes: Buffer): readonly number[] {
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, index) => words.getInt32(index * 4, LITTLE));
}
