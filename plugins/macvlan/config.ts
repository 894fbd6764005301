import {
  type Conf,
  delegateTimeout,
  dns,
  flag,
  integer,
  ipamSection,
  networkConf,
  oneOf,
  section,
  text,
} from '../../lib/cni/config.ts';

const MAX_U32 = 2 ** 32 - 1;

export const MacvlanConf = networkConf({
  master: text(
    'Parent interface: its name or an alternative name. Default: the one through which the node itself goes outside, IPv4 first.',
  ),
  mode: oneOf(['bridge', 'private', 'vepa', 'passthru'], 'bridge', 'How pods on one parent see each other.'),
  mtu: integer("MTU of the interface; 0 takes the parent's.", { min: 0 }),
  mac: text('Hardware address. Default: random, locally administered.'),
  linkInContainer: flag('Look for the parent inside the container, not on the host.'),
  bcqueuelen: integer("Length of the parent's queue for broadcast frames; 0 takes the kernel's default.", {
    min: 0,
    max: MAX_U32,
  }),
  ipam: ipamSection(),
  delegateTimeout: delegateTimeout(),
  dns: dns('Copied to the result.'),
  runtimeConfig: section(
    { mac: text('Hardware address that the runtime asks for (capability `mac`).') },
    'Filled in by the runtime.',
  ),
});
export type MacvlanConf = Conf<typeof MacvlanConf>;
