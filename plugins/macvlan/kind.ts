import { type Kind, modeOf } from '../../lib/link/kind.ts';
import type { LinkFacts } from '../../lib/link/observe.ts';
import type { Refusals } from '../../lib/link/refusal.ts';
import { table, u32 } from '../../lib/netlink/attributes.ts';

/** <linux/if_link.h> IFLA_MACVLAN_…, MACVLAN_MODE_… */
const IFLA_MACVLAN_MODE = 1;
const IFLA_MACVLAN_BC_QUEUE_LEN = 7;
const MODES = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;

const MacvlanTable = table({
  mode: [IFLA_MACVLAN_MODE, u32],
  bcQueueLen: [IFLA_MACVLAN_BC_QUEUE_LEN, u32],
});

export interface MacvlanAttributes {
  readonly mode: keyof typeof MODES;
  /** 0: the kernel's default */
  readonly bcQueueLen: number;
}

export const MACVLAN: Kind<MacvlanAttributes> = {
  name: 'macvlan',
  encode: ({ mode, bcQueueLen }) =>
    MacvlanTable.encode({ mode: MODES[mode], ...(bcQueueLen === 0 ? {} : { bcQueueLen }) }),
  decode: (data) => ({ mode: modeOf(MODES, MacvlanTable.decode(data).mode) }),
  sharesMac: false,
  isBornWithParentMac: ({ mode }) => mode === 'passthru',
};

export const REFUSALS: Refusals<MacvlanAttributes> = {
  creation: ['EEXIST', 'EBUSY', 'EINVAL', 'ENODEV', 'EADDRNOTAVAIL', 'EADDRINUSE'],
  goingUp: ['EADDRINUSE', 'ENETDOWN'], // the address is compared with those of the parent and the siblings
  rivals: ['ipvlan', 'ipvtap', 'macsec'],
  why(code, parent, { attributes, mtu, mac }) {
    switch (code) {
      case 'EINVAL':
        return modeFault(attributes, mtu, parent);
      case 'EADDRNOTAVAIL':
        return `takes no child with hardware address ${mac}`;
      case 'EADDRINUSE':
        return parent.mac === mac
          ? `has hardware address ${parent.mac} itself`
          : `has another macvlan with hardware address ${mac}`;
      default:
        return undefined;
    }
  },
};

/** Its children may be in other namespaces, where they cannot be seen. */
function modeFault({ mode }: MacvlanAttributes, mtu: number | undefined, parent: LinkFacts): string {
  if (mtu !== undefined && mtu > parent.mtu) {
    return `has MTU ${parent.mtu} by now, less than ${mtu}`;
  }
  return mode === 'passthru'
    ? 'has other macvlans, and one in mode "passthru" must be the only one'
    : 'has a macvlan in mode "passthru", which is the only one that it can have';
}
