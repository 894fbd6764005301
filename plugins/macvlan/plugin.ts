import { refuseUnprintable } from '../../lib/cni/addressed.ts';
import { checkChildLink, childLinkStatus } from '../../lib/cni/child-check.ts';
import { addChildLink, type ChildLinks } from '../../lib/cni/child-link.ts';
import { deleteChildLink } from '../../lib/cni/child-removal.ts';
import { ipamForesee, ipamForward } from '../../lib/cni/ipam.ts';
import { definePlugin, type Plugin } from '../../lib/cni/plugin.ts';
import { MacvlanConf } from './config.ts';
import { examine } from './examine.ts';
import { MACVLAN, type MacvlanAttributes, REFUSALS } from './kind.ts';
import { askedMacOf, macOf } from './mac.ts';

const LINKS: ChildLinks<MacvlanConf, MacvlanAttributes> = {
  kind: MACVLAN,
  refusals: REFUSALS,
  attributesOf: ({ mode, bcqueuelen }) => ({ mode, bcQueueLen: bcqueuelen }),
  macOf,
  masterOf: ({ conf }) => conf.master,
};

export const macvlan: Plugin = definePlugin<MacvlanConf>({
  name: 'macvlan',
  about: 'macvlan: gives a pod an interface with an address of its own on a parent interface',
  conf: MacvlanConf,
  add: async (call, scope) => {
    refuseUnprintable(call);
    return addChildLink(call, scope, LINKS);
  },
  del: (call, scope) => deleteChildLink(call, scope, MACVLAN),
  check: (call, scope) => checkChildLink(call, scope, LINKS),
  status: (call, scope) => childLinkStatus(call, scope, LINKS),
  gc: (call, scope) => ipamForward(call, scope), // links end with their namespace: only addresses can be left over
  examine,
  validate: (call) => {
    refuseUnprintable(call);
    askedMacOf(call);
  },
  foresee: (call, scope) => ipamForesee(call, scope),
});
