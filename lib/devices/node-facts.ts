import { join } from 'node:path';
import type { Netns } from '../netns/netns.ts';
import { Devlink } from './devlink.ts';
import type { KernelFacts } from './facts.ts';
import { readKernelFacts } from './kernel-facts.ts';
import { vdpaDevicesIn } from './vdpa.ts';

/**
 * All that is not in the folder of a device, for who looks once.
 *
 * @param root in front of `/sys`
 * @throws ErrnoError
 */
export async function readNodeFacts(
  host: Pick<Netns, 'netlink' | 'genericNetlink'>,
  root: string,
): Promise<KernelFacts> {
  const sysfs = join(root, 'sys');
  const devlink = await new Devlink(host.genericNetlink, sysfs).read('all', new Set(['rdma', 'ddp']));
  return { ...(await readKernelFacts(host.netlink)), ...devlink, vdpa: vdpaDevicesIn(sysfs) };
}
