import * as z from 'zod/mini';
import {
  type Conf,
  delegateTimeout,
  dns,
  flag,
  ipamSection,
  networkConf,
  section,
  text,
  whole,
} from '../../lib/cni/config.ts';

const MAX_VLAN = 4094;
const MAX_QOS = 7;
const MAX_RATE = 2 ** 31 - 1;

/** A whole number that may be absent, which is not the same as 0. */
export const maybeWhole = (about: string, { min = 0, max = MAX_RATE } = {}) =>
  maybe(z.int().check(z.minimum(min), z.maximum(max)), [null], about);

/** One of some words, or absent. */
const word = <const W extends readonly [string, ...string[]]>(words: W, about: string) =>
  maybe(z.enum(words), [null, ''], about);

function maybe<S extends z.ZodMiniType>(schema: S, absent: readonly unknown[], description: string) {
  const given = z.pipe(
    z.transform((value) => (absent.includes(value) ? undefined : value)),
    z.optional(schema) as never,
  );
  const described = z.optional(given) as unknown as z.ZodMiniType<z.output<S> | undefined>;
  z.globalRegistry.add(described, { description });
  return described;
}

export const SriovConf = networkConf({
  deviceID: text('PCI address of the VF: `0000:65:02.3`. Filled in by the device plugin, through multus.'),
  vlan: maybeWhole('VLAN that the PF puts the VF into; 0 takes the tag away. Default: untouched.', { max: MAX_VLAN }),
  vlanQoS: maybeWhole('Priority within the VLAN; needs `vlan`. Default: 0.', { max: MAX_QOS }),
  vlanProto: text('Protocol of the VLAN, `802.1q` or `802.1ad`; needs `vlan`. Default: `802.1q`.'),
  mac: text('Hardware address.'),
  spoofchk: word(['on', 'off'], 'Drop frames of the VF with a foreign source address. Default: untouched.'),
  trust: word(['on', 'off'], 'Let the VF do what only trusted VFs may. Default: untouched.'),
  link_state: word(['auto', 'enable', 'disable'], 'Link of the VF: as the PF, always, never. Default: untouched.'),
  min_tx_rate: maybeWhole('Mbit/s that the VF is sure of; 0 is none. Default: untouched, or 0 with `max_tx_rate`.'),
  max_tx_rate: maybeWhole('Mbit/s that the VF may send; 0 is no limit. Default: untouched, or 0 with `min_tx_rate`.'),
  mtu: whole('MTU of the interface in the pod, until DEL; 0 leaves it as it is.', { min: 0 }),
  preclean: flag(
    'Take away first what somebody else left at the VF: VLAN, rates, trust, link state, spoof checking that is off.',
  ),
  dataDir: text('Folder of records, locks and allocations. Default: `/var/lib/cni/sriov`, as the Go plugin has it.'),
  logLevel: text('`panic`, `error`, `warning`, `info` or `debug`. Default: `info`.'),
  logFile: text('File that log lines are appended to. Default: stderr.'),
  ipam: ipamSection(),
  delegateTimeout: delegateTimeout(),
  dns: dns('Kept in the record; the result has that of the IPAM plugin.'),
  runtimeConfig: section(
    { mac: text('Hardware address that the runtime asks for (capability `mac`).') },
    'Filled in by the runtime.',
  ),
});
export type SriovConf = Conf<typeof SriovConf>;
