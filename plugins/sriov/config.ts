import * as z from 'zod/mini';
import {
  type Conf,
  delegateTimeout,
  dns,
  flag,
  integer,
  ipamSection,
  networkConf,
  section,
  text,
} from '../../lib/cni/config.ts';

const MAX_VLAN = 4094;
const MAX_QOS = 7;
const MAX_RATE = 2 ** 31 - 1;

/** An optional whole number; absent differs from 0. */
export const optionalInteger = (about: string, { min = 0, max = MAX_RATE } = {}) =>
  maybe(z.int().check(z.minimum(min), z.maximum(max)), [null], about);

/** An optional choice. */
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
  vlan: optionalInteger('VLAN of the VF, set by the PF; 0 removes the tag. Default: unchanged.', { max: MAX_VLAN }),
  vlanQoS: optionalInteger('Priority within the VLAN; needs `vlan`. Default: 0.', { max: MAX_QOS }),
  vlanProto: text('Protocol of the VLAN, `802.1q` or `802.1ad`; needs `vlan`. Default: `802.1q`.'),
  mac: text('Hardware address.'),
  spoofchk: word(['on', 'off'], 'Drop frames of the VF with a foreign source address. Default: unchanged.'),
  trust: word(['on', 'off'], 'Mark the VF as trusted. Default: unchanged.'),
  link_state: word(
    ['auto', 'enable', 'disable'],
    'Link state of the VF: as the PF, always up, always down. Default: unchanged.',
  ),
  min_tx_rate: optionalInteger('Guaranteed Mbit/s; 0 is none. Default: unchanged, or 0 with `max_tx_rate`.'),
  max_tx_rate: optionalInteger('Maximum Mbit/s; 0 is unlimited. Default: unchanged, or 0 with `min_tx_rate`.'),
  mtu: integer('MTU of the interface in the pod, until DEL; 0 leaves it as it is.', { min: 0 }),
  preclean: flag('First reset settings that others left on the VF: VLAN, rates, trust, link state, spoof checking.'),
  dataDir: text('Folder for records, locks and allocations. Default: `/var/lib/cni/sriov`, as in the Go plugin.'),
  logLevel: text('`panic`, `error`, `warning`, `info` or `debug`. Default: `info`.'),
  logFile: text('File that log lines are appended to. Default: stderr.'),
  ipam: ipamSection(),
  delegateTimeout: delegateTimeout(),
  dns: dns('Kept in the record; the result has that of the IPAM plugin.'),
  runtimeConfig: section(
    { mac: text('Hardware address from the runtime (capability `mac`).') },
    'Filled in by the runtime.',
  ),
});
export type SriovConf = Conf<typeof SriovConf>;
