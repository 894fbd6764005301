import {
  type Conf,
  delegateTimeout,
  dns,
  flag,
  integer,
  networkConf,
  oneOf,
  section,
  text,
} from '../../lib/cni/config.ts';

export const IpvlanConf = networkConf({
  master: text(
    'Parent interface: its name or an alternative name. Default: in a chain the only interface of the previous result, else the one through which the node itself goes outside, IPv4 first.',
  ),
  mode: oneOf(
    ['l2', 'l3', 'l3s'],
    'l2',
    'Who forwards: `l2` the network of the parent, `l3` the node by its routes, `l3s` the same through its netfilter. The kernel has one mode for all ipvlans of a parent: the last one that was asked for.',
  ),
  mtu: integer("MTU of the interface; 0 takes the parent's.", { min: 0 }),
  linkInContainer: flag('Look for the parent inside the container, not on the host.'),
  ipam: section(
    { type: text('Name of the IPAM plugin.') },
    'The IPAM plugin and what it needs. Only a chained plugin does without: it takes over the addresses of the previous result.',
  ),
  delegateTimeout: delegateTimeout(),
  dns: dns('Copied to the result.'),
});
export type IpvlanConf = Conf<typeof IpvlanConf>;
