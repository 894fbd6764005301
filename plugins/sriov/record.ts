import type { JsonObject } from '../../lib/cni/json.ts';
import type { NetnsIdentity } from '../../lib/cni/sandbox.ts';
import type { DeviceFacts } from '../../lib/link/device.ts';
import type { VfChanges } from '../../lib/link/vf-change.ts';
import type { VfFacts } from '../../lib/link/vf-facts.ts';
import type { Mac } from '../../lib/net/mac.ts';

/**
 * An attachment, and its VF's former state: written before the VF is touched, deleted when it is restored. The Go
 * plugin reads and writes the same files.
 */
export interface SriovRecord {
  readonly network: string;
  readonly deviceId: string;
  readonly pfName: string;
  readonly vfNumber: number;
  /** '' when the VF has no addresses */
  readonly ipamType: string;
  /** as requested; '' for none */
  readonly mac: Mac | '';
  /** of the result */
  readonly mtu: number | undefined;
  /** as requested from the PF */
  readonly asked: VfChanges;
  readonly before: VfBefore;
  /** configuration keys copied to the file */
  readonly conf: JsonObject;
  /** what the Go plugin does not write */
  readonly own: OwnPart | undefined;
}

/** A VF before it was touched. */
export interface VfBefore {
  /** as the PF saw it; the hardware address is '' when not recorded */
  readonly vf: Omit<VfFacts, 'number' | 'mac'> & { readonly mac: Mac | '' };
  /** name of its interface; '' with a userspace driver */
  readonly name: string;
  /** hardware address of the interface; '' when not recorded */
  readonly mac: Mac | '';
  /** of the interface; 0 when not recorded */
  readonly mtu: number;
}

export interface OwnPart {
  /** `changing` until ADD is complete */
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

/** The PF's changes that restore the VF: all that ADD requested, and always the address. */
export function changesToRestore({ asked, before }: SriovRecord): VfChanges {
  const wanted = Object.keys(asked).filter((attribute) => attribute !== 'mac') as readonly (keyof VfChanges)[];
  return {
    ...(before.vf.mac === '' ? {} : { mac: before.vf.mac }),
    ...Object.fromEntries(wanted.map((attribute) => [attribute, before.vf[attribute]])),
  };
}
