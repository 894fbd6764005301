import type { JsonObject } from '../../lib/cni/json.ts';
import type { NetnsIdentity } from '../../lib/cni/sandbox.ts';
import type { DeviceFacts } from '../../lib/link/device.ts';
import type { VfChanges } from '../../lib/link/vf-change.ts';
import type { VfFacts } from '../../lib/link/vf-facts.ts';
import type { Mac } from '../../lib/net/mac.ts';

/**
 * What an attachment is, and what its VF was before: written before the VF is touched, gone when it is back. The Go
 * plugin reads and writes the same files.
 */
export interface SriovRecord {
  readonly network: string;
  readonly deviceId: string;
  readonly pfName: string;
  readonly vfNumber: number;
  /** '' when the VF has no addresses */
  readonly ipamType: string;
  /** what was asked for; '' when nothing was */
  readonly mac: Mac | '';
  /** of the result */
  readonly mtu: number | undefined;
  /** what was asked of the PF */
  readonly asked: VfChanges;
  readonly before: Before;
  /** keys of the configuration that the file has too */
  readonly conf: JsonObject;
  /** what the Go plugin does not write */
  readonly own: OwnPart | undefined;
}

/** A VF before it was touched. */
export interface Before {
  /** as the PF saw it; the hardware address is '' when it was not recorded */
  readonly vf: Omit<VfFacts, 'number' | 'mac'> & { readonly mac: Mac | '' };
  /** name of its interface; '' when its driver handed it to a program */
  readonly name: string;
  /** hardware address of the interface; '' when it was not recorded */
  readonly mac: Mac | '';
  /** of the interface; 0 when it was not recorded */
  readonly mtu: number;
}

export interface OwnPart {
  /** `changing` from before the first change until everything is done */
  readonly phase: 'changing' | 'attached';
  readonly containerId: string;
  readonly ifName: string;
  /** CNI_NETNS of ADD */
  readonly netns: string;
  /** undefined in records of an older form */
  readonly namespace: NetnsIdentity | undefined;
  /** of the VF: see `incarnationOf` */
  readonly incarnation: string;
  /** the interface before it was touched; undefined when there was none */
  readonly device: DeviceFacts | undefined;
}

/** Names the record of an attachment. */
export interface RecordKey {
  readonly containerId: string;
  readonly ifName: string;
}

/** What the PF shall be asked for so that the VF is what it was: all that was asked, and always its address. */
export function changesBack({ asked, before }: SriovRecord): VfChanges {
  const wanted = Object.keys(asked).filter((attribute) => attribute !== 'mac') as readonly (keyof VfChanges)[];
  return {
    ...(before.vf.mac === '' ? {} : { mac: before.vf.mac }),
    ...Object.fromEntries(wanted.map((attribute) => [attribute, before.vf[attribute]])),
  };
}
