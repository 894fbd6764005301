import { macBytes } from '../net/mac.ts';
import { RTM_SETLINK } from '../netlink/codec/link.ts';
import { encodeVf, LINK_STATES, type VfAttributes } from '../netlink/codec/vf.ts';
import type { Conversation } from '../netlink/conversation.ts';
import { ErrnoError } from '../netlink/errno.ts';
import { type VfFacts, VLAN_PROTOCOLS } from './vf-facts.ts';

/** What shall change; absent stays as it is. */
export type VfChanges = Partial<Omit<VfFacts, 'number'>>;
export type VfAttribute = keyof VfChanges;

/** A driver has refused one attribute of a VF. */
export class VfRefused extends Error {
  readonly attribute: VfAttribute;
  /** `EOPNOTSUPP` */
  readonly code: string;

  constructor(attribute: VfAttribute, cause: ErrnoError) {
    super(cause.message, { cause });
    this.name = 'VfRefused';
    this.attribute = attribute;
    this.code = cause.code;
  }
}

/**
 * Changes a VF through its PF, everything in one request. Where that is refused, each attribute is asked for by itself,
 * so that it shows which one it was: those before it are set by then.
 *
 * @throws VfRefused; what is no refusal of the kernel as it is
 */
export async function setVf(
  netlink: Conversation,
  pf: { readonly index: number; readonly name: string },
  number: number,
  changes: VfChanges,
): Promise<void> {
  const wanted = ORDER.filter((attribute) => changes[attribute] !== undefined);
  if (wanted.length > 1) {
    try {
      await request(netlink, pf, number, { changes, wanted });
      return;
    } catch (error) {
      throwUnlessRefused(error); // asked for one by one, it has a name
    }
  }
  for (const attribute of wanted) {
    try {
      await request(netlink, pf, number, { changes, wanted: [attribute] });
    } catch (error) {
      throw new VfRefused(attribute, throwUnlessRefused(error));
    }
  }
}

function throwUnlessRefused(error: unknown): ErrnoError {
  if (!(error instanceof ErrnoError)) {
    throw error;
  }
  return error;
}

/** What of the changes is not so yet. What the driver does not know of is not compared, and not asked for. */
export function pendingChanges(vf: VfFacts, changes: VfChanges): VfChanges {
  const differs = (attribute: VfAttribute): boolean =>
    changes[attribute] !== undefined &&
    vf[attribute] !== undefined &&
    JSON.stringify(VALUES[attribute](changes)) !== JSON.stringify(VALUES[attribute](vf));
  return Object.fromEntries(ORDER.filter(differs).map((attribute) => [attribute, changes[attribute]]));
}

/** The MAC comes after the VLAN: setting it may reset the VF. */
const ORDER = ['vlan', 'mac', 'rate', 'spoofCheck', 'trust', 'linkState'] as const satisfies readonly VfAttribute[];

/** What an attribute says, for people and for comparisons. */
const VALUES: Readonly<Record<VfAttribute, (changes: VfChanges) => string>> = {
  vlan: ({ vlan }) => (vlan?.id ? `vlan ${vlan.id}, qos ${vlan.qos}, ${vlan.protocol}` : 'vlan 0'),
  mac: ({ mac }) => `mac ${mac}`,
  rate: ({ rate }) => `rates ${rate?.min} to ${rate?.max}`,
  spoofCheck: ({ spoofCheck }) => `spoofchk ${spoofCheck ? 'on' : 'off'}`,
  trust: ({ trust }) => `trust ${trust ? 'on' : 'off'}`,
  linkState: ({ linkState }) => `link_state ${linkState}`,
};

/** What an attribute is set to, in the words of the configuration: `vlan 100, qos 3, 802.1ad`. */
export const describeVf = (changes: VfChanges): string =>
  ORDER.filter((attribute) => changes[attribute] !== undefined)
    .map((attribute) => VALUES[attribute](changes))
    .join(', ');

interface Wish {
  readonly changes: VfChanges;
  readonly wanted: readonly VfAttribute[];
}

async function request(
  netlink: Conversation,
  pf: { readonly index: number; readonly name: string },
  vf: number,
  { changes, wanted }: Wish,
): Promise<void> {
  const some = Object.fromEntries(wanted.map((attribute) => [attribute, changes[attribute]])) as VfChanges;
  await netlink.change({
    type: RTM_SETLINK,
    body: encodeVf(pf.index, encoded(vf, some)),
    operation: `set ${describeVf(some)} for VF ${vf} of "${pf.name}"`,
  });
}

function encoded(vf: number, { mac, vlan, rate, spoofCheck, trust, linkState }: VfChanges): VfAttributes {
  return {
    ...(mac === undefined ? {} : { mac: { vf, mac: macBytes(mac) } }),
    ...(vlan === undefined
      ? {}
      : { vlanList: { info: { vf, vlan: vlan.id, qos: vlan.qos, protocol: VLAN_PROTOCOLS[vlan.protocol] } } }),
    ...(rate === undefined ? {} : { rate: { vf, ...rate } }),
    ...(spoofCheck === undefined ? {} : { spoofCheck: { vf, setting: Number(spoofCheck) } }),
    ...(trust === undefined ? {} : { trust: { vf, setting: Number(trust) } }),
    ...(linkState === undefined ? {} : { linkState: { vf, state: LINK_STATES[linkState] } }),
  };
}
