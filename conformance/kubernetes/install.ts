/**
 * What a cluster is made of: `node conformance/kubernetes/install.ts` builds and fetches what is missing, and prints the
 * folders. Nothing is installed on the system.
 */
import { join } from 'node:path';
import { installCluster } from '../cluster/servers.ts';
import type { Image } from '../containerd/image.ts';
import { install, installImage, PAUSE_TAR, type RuntimePrograms, runtimes } from '../containerd/install.ts';
import { installHelm } from '../peers/helm.ts';

/** What runs in the containers of the tests. */
export const POD: Image = { name: 'localhost/braid/pod:1', source: join(import.meta.dirname, 'pod.c') };

export interface Parts {
  /** folder of the programs of Kubernetes */
  readonly kubernetes: string;
  /** the newest that is there */
  readonly runtime: RuntimePrograms;
  /** one that knows seccomp, which kubelets ask for: it takes a library of C to build such a one */
  readonly runc: string;
  /** tar files */
  readonly images: readonly string[];
}

/** @throws Error with what is missing */
export async function installParts(): Promise<Parts> {
  const kubernetes = await installCluster();
  await install();
  const [debian, built] = runtimes();
  if (debian === undefined) {
    throw new Error('there is no container runtime: node conformance/containerd/install.ts');
  }
  const runc = join(debian.bin, 'runc');
  return { kubernetes, runtime: built ?? debian, runc, images: [PAUSE_TAR, await installImage(POD)] };
}

if (import.meta.main) {
  const { kubernetes, runtime, images } = await installParts();
  console.log([kubernetes, runtime.bin, ...images, installHelm()].join('\n'));
}
