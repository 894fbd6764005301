import type { Mac } from '../net/mac.ts';
import { ETH_P_8021AD, ETH_P_8021Q, type LINK_STATES } from '../netlink/codec/vf.ts';

export const VLAN_PROTOCOLS = { '802.1q': ETH_P_8021Q, '802.1ad': ETH_P_8021AD } as const;
export type VlanProtocol = keyof typeof VLAN_PROTOCOLS;
export type LinkState = keyof typeof LINK_STATES;

/** How a PF sees one of its VFs. */
export interface VfFacts {
  readonly number: number;
  /** the administrative address; all zero when the VF has its own */
  readonly mac: Mac;
  readonly vlan: VlanTag;
  /** undefined: the driver does not know it */
  readonly spoofCheck: boolean | undefined;
  /** undefined: the driver does not know it */
  readonly trust: boolean | undefined;
  readonly rate: Rate;
  readonly linkState: LinkState;
}

export interface VlanTag {
  /** 0: none */
  readonly id: number;
  readonly qos: number;
  readonly protocol: VlanProtocol;
}

/** Mbit/s; 0: no limit */
export interface Rate {
  readonly min: number;
  readonly max: number;
}
