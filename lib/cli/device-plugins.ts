import type { Scope } from '../cni/scope.ts';
import { runDevicePlugins } from '../devices/run.ts';
import { deviceSources } from './device-sources.ts';
import { readOptions } from './options.ts';
import { KUBELET_FOLDER, type Program, SRIOV_CONFIG, SRIOV_PREFIX } from './program.ts';

const ROOT = '/';

/** `braid device-plugins` */
export async function devicePlugins(program: Program, args: readonly string[], scope: Scope): Promise<number> {
  const { values } = readOptions(args, {
    'config-file': { type: 'string' },
    'resource-prefix': { type: 'string', default: SRIOV_PREFIX },
    'rdma-config-file': { type: 'string' },
    'use-cdi': { type: 'boolean', default: false },
    kubelet: { type: 'string', default: KUBELET_FOLDER },
  });
  const { native, host } = scope.node;
  const rdma = values['rdma-config-file'];
  const sriov = values['config-file'] ?? (rdma === undefined ? SRIOV_CONFIG : undefined);
  const files = { sriov, prefix: values['resource-prefix'], rdma, useCdi: values['use-cdi'], kubelet: values.kubelet };
  const sources = deviceSources(files, scope, ROOT);
  await Promise.all(sources.map((source) => source.demand?.()));
  const signal = program.stopSignal();
  const { now, sleep } = scope;
  await runDevicePlugins(
    { sources, kubelet: { root: values.kubelet }, root: ROOT, native, host, onHangup: program.onHangup },
    { signal, log: (line) => scope.log(`device-plugins: ${line}`), now, sleep },
  );
  return 0;
}
