import type { PodCall } from '../../lib/cni/call.ts';
import { CniError } from '../../lib/cni/errors.ts';
import { ipamType } from '../../lib/cni/ipam.ts';
import { identityOf } from '../../lib/cni/sandbox.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { type DeviceFacts, findDevice } from '../../lib/link/device.ts';
import { findPf, type PfFacts, vfOf } from '../../lib/link/vf.ts';
import { pendingChanges, type VfChanges } from '../../lib/link/vf-change.ts';
import type { VfFacts } from '../../lib/link/vf-facts.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { incarnationOf } from '../../lib/sys/bus-device.ts';
import type { SriovConf } from './config.ts';
import { type FoundVf, interfaceNameOf } from './discover.ts';
import { DEFAULT_ATTRIBUTES, type SriovPlan } from './plan.ts';
import type { SriovRecord } from './record.ts';
import { copiedKeys } from './record-form.ts';

/** A VF before it is touched. */
export interface Observed {
  readonly found: FoundVf;
  readonly pf: PfFacts;
  readonly vf: VfFacts;
  /** its interface; undefined with a userspace driver */
  readonly device: DeviceFacts | undefined;
}

/** @throws CniError internal when PF or VF cannot be read */
export async function observeVf(scope: Scope, found: FoundVf): Promise<Observed> {
  const { netlink } = scope.node.host;
  const pf = await findPf(netlink, { name: found.pfName, device: found.pf });
  if (pf === undefined) {
    throw new CniError('internal', `cannot find PF "${found.pfName}" of device "${found.device.name}"`);
  }
  const ifName = interfaceNameOf(found.device);
  const device = ifName === undefined ? undefined : await findDevice(netlink, ifName);
  if (ifName !== undefined && device === undefined) {
    throw new CniError('internal', `cannot find interface "${ifName}" of device "${found.device.name}"`);
  }
  return { found, pf, vf: vfOf(pf, found.number), device };
}

/** Changes requested from the PF, and the state that DEL restores. */
export interface WantedVf {
  readonly changes: VfChanges;
  readonly before: VfFacts;
}

/** @param preclean settings that others left on the VF are reset now, and not restored by DEL */
export function wantedVf({ vf }: Observed, { changes }: SriovPlan, preclean: boolean): WantedVf {
  if (!preclean) {
    return { changes, before: vf };
  }
  const left = pendingChanges(vf, DEFAULT_ATTRIBUTES);
  const clean = Object.fromEntries(
    Object.keys(left).map((attribute) => [attribute, DEFAULT_ATTRIBUTES[attribute as keyof typeof DEFAULT_ATTRIBUTES]]),
  );
  return { changes: { ...clean, ...changes }, before: { ...vf, ...clean } };
}

/** The record of a starting attachment. */
export function recordOf(
  { call, scope, netns }: { readonly call: PodCall<SriovConf>; readonly scope: Scope; readonly netns: Netns },
  observed: Observed,
  plan: SriovPlan,
  before: VfFacts,
): SriovRecord & { readonly own: NonNullable<SriovRecord['own']> } {
  const { found, pf, device } = observed;
  const { number: _, ...vf } = before;
  return {
    network: call.network,
    deviceId: found.device.name,
    pfName: pf.name,
    vfNumber: found.number,
    ipamType: ipamType(call.document),
    mac: plan.mac ?? '',
    mtu: plan.mtu ?? device?.mtu ?? pf.mtu,
    asked: plan.changes,
    before: { vf, name: device?.name ?? '', mac: device?.mac ?? '', mtu: device?.mtu ?? 0 },
    conf: copiedKeys(call.document),
    own: {
      phase: 'changing',
      containerId: call.containerId,
      ifName: call.ifName,
      netns: call.netnsPath,
      namespace: identityOf(scope, netns),
      incarnation: incarnationOf(found.device.name, scope.node.sysfs),
      device,
    },
  };
}
