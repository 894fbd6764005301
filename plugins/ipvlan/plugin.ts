import { checkChildLink, childLinkStatus } from '../../lib/cni/child-check.ts';
import { addChildLink, type ChildLinks } from '../../lib/cni/child-link.ts';
import { deleteChildLink } from '../../lib/cni/child-removal.ts';
import { ipamForesee, ipamForward } from '../../lib/cni/ipam.ts';
import { definePlugin, type Plugin } from '../../lib/cni/plugin.ts';
import { demandAddresses, inherited, masterOf } from './chain.ts';
import { IpvlanConf } from './config.ts';
import { examine } from './examine.ts';
import { IPVLAN, type IpvlanAttributes, REFUSALS } from './kind.ts';

const LINKS: ChildLinks<IpvlanConf, IpvlanAttributes> = {
  kind: IPVLAN,
  refusals: REFUSALS,
  attributesOf: ({ mode }) => ({ mode }),
  macOf: () => undefined, // that of the parent: the kernel takes no other
  masterOf,
  inherited,
};

export const ipvlan: Plugin = definePlugin<IpvlanConf>({
  name: 'ipvlan',
  about: 'ipvlan: gives a pod an interface with IP addresses of its own and the hardware address of its parent',
  conf: IpvlanConf,
  add: (call, scope) => addChildLink(call, scope, LINKS),
  del: (call, scope) => deleteChildLink(call, scope, IPVLAN),
  check: (call, scope) => checkChildLink(call, scope, LINKS),
  status: (call, scope) => childLinkStatus(call, scope, LINKS),
  gc: (call, scope) => ipamForward(call, scope), // links end with their namespace: only addresses can be left over
  examine,
  validate: demandAddresses,
  foresee: (call, scope) => ipamForesee(call, scope),
});
