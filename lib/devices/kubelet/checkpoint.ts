import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { heldBy } from './holders.ts';

/** https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/kubelet/cm/devicemanager/checkpoint/checkpoint.go */
const FILE = 'device-plugins/kubelet_internal_checkpoint';
const Checkpoint = z.object({
  Data: z.object({
    PodDeviceEntries: z.nullable(
      z.array(z.object({ ResourceName: z.string(), DeviceIDs: z.record(z.string(), z.nullable(z.array(z.string()))) })),
    ),
  }),
});

/**
 * Which devices containers had when the kubelet wrote it down, by resource. After a boot it starts them again without
 * asking for anything, and before it says who they are. Some may have gone since.
 *
 * @param root `/var/lib/kubelet`
 * @returns nothing where it cannot be read
 */
export function heldBefore(root: string): ReadonlyMap<string, ReadonlySet<string>> {
  try {
    const { Data } = z.parse(Checkpoint, JSON.parse(readFileSync(join(root, FILE), 'utf8')));
    const entries = (Data.PodDeviceEntries ?? []).map(({ ResourceName, DeviceIDs }) => ({
      resource: ResourceName,
      ids: Object.values(DeviceIDs).flatMap((ids) => ids ?? []),
    }));
    return heldBy(entries);
  } catch {
    return new Map();
  }
}
