import * as z from 'zod/mini';
import type { PodCall } from '../../lib/cni/call.ts';
import type { Json } from '../../lib/cni/json.ts';
import { identityOf, type NetnsIdentity, NetnsIdentityForm, reopenIfHere } from '../../lib/cni/sandbox.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import type { Netns } from '../../lib/netns/netns.ts';

/** What ADD was called with: GC cannot ask for it, and DEL cannot trust what it is told. */
export interface PodRecord {
  /** CNI_NETNS */
  readonly netns: string;
  readonly namespace: NetnsIdentity;
  /** CNI_IFNAME */
  readonly ifName: string;
  /** CNI_ARGS */
  readonly args: string;
}

const Form = z.object({ netns: z.string(), namespace: NetnsIdentityForm, ifName: z.string(), args: z.string() });

export const podRecordOf = (call: PodCall<unknown>, scope: Scope, netns: Netns): PodRecord => ({
  netns: call.netnsPath,
  namespace: identityOf(scope, netns),
  ifName: call.ifName,
  args: call.args,
});

/** @returns undefined for anything else: then the pod is as one that the Go plugin recorded */
export const parsePodRecord = (value: Json | undefined): PodRecord | undefined => z.safeParse(Form, value).data;

/**
 * The namespace of a recorded pod, wherever it is by now.
 *
 * @param path where the caller says it is; '' when nobody says
 * @returns undefined when it is gone
 * @throws CniError invalidNetns when it cannot be told whether it lives
 */
export const openPod = (scope: Scope, { netns, namespace }: PodRecord, path: string): Promise<Netns | undefined> =>
  reopenIfHere(scope, { path: path || netns, identity: namespace });
