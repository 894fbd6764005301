import { type Kind, modeOf } from '../../lib/link/kind.ts';
import type { Refusals } from '../../lib/link/refusal.ts';
import { table, u16 } from '../../lib/netlink/attributes.ts';

/** <linux/if_link.h> IFLA_IPVLAN_…, IPVLAN_MODE_… */
const IFLA_IPVLAN_MODE = 1;
const MODES = { l2: 0, l3: 1, l3s: 2 } as const;

/** Flags (private, vepa) are left out: the kernel keeps those that the parent's links have. */
const IpvlanTable = table({ mode: [IFLA_IPVLAN_MODE, u16] });

export interface IpvlanAttributes {
  readonly mode: keyof typeof MODES;
}

export const IPVLAN: Kind<IpvlanAttributes> = {
  name: 'ipvlan',
  encode: ({ mode }) => IpvlanTable.encode({ mode: MODES[mode] }),
  decode: (data) => ({ mode: modeOf(MODES, IpvlanTable.decode(data).mode) }),
  sharesMac: true,
};

export const REFUSALS: Refusals<IpvlanAttributes> = {
  creation: ['EEXIST', 'EBUSY', 'EINVAL', 'ENODEV', 'EOPNOTSUPP'],
  goingUp: ['EADDRINUSE', 'ENETDOWN'],
  rivals: ['macvlan', 'macvtap', 'macsec'],
  why(code, _parent, { attributes }) {
    switch (code) {
      case 'EOPNOTSUPP':
        return attributes.mode === 'l3s' ? 'has no mode "l3s" here: the kernel was built without it' : undefined;
      case 'EADDRINUSE':
        return 'has another ipvlan with this address';
      default:
        return undefined;
    }
  },
};
