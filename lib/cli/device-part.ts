/** Device plugins as a part of the agent. */
import type { Scope } from '../cni/scope.ts';
import { repeat } from '../controller/repeat.ts';
import type { Metrics } from '../observe/metrics.ts';
import { WrongUsage } from './options.ts';
import { KUBELET_FOLDER, type Program, SRIOV_PREFIX } from './program.ts';

const ROOT = '/';

export const DEVICE_OPTIONS = {
  'device-config': { type: 'string' },
  'rdma-device-config': { type: 'string' },
  'resource-prefix': { type: 'string', default: SRIOV_PREFIX },
  'use-cdi': { type: 'boolean', default: false },
  kubelet: { type: 'string', default: KUBELET_FOLDER },
} as const;

interface Values {
  readonly 'device-config'?: string | undefined;
  readonly 'rdma-device-config'?: string | undefined;
  readonly 'resource-prefix': string;
  readonly 'use-cdi': boolean;
  readonly kubelet: string;
  readonly idle?: string | undefined;
}

/** Of the agent. */
interface Around {
  /** of a scope that ends with the last call */
  readonly scope: Scope;
  readonly metrics: Metrics | undefined;
  /** fires when another agent has begun */
  readonly succession: AbortSignal;
}

/**
 * What the options ask for.
 *
 * @returns hands out devices until the signal of the scope fires; undefined: nothing is asked for
 * @throws WrongUsage
 */
export function devicePartOf(values: Values, program: Program): ((around: Around) => Promise<void>) | undefined {
  const { 'device-config': sriov, 'rdma-device-config': rdma } = values;
  if (sriov === undefined && rdma === undefined) {
    return undefined;
  }
  if (values.idle !== undefined) {
    throw new WrongUsage('--idle ends an agent that nobody calls: devices would be lost to the kubelet');
  }
  const files = { sriov, prefix: values['resource-prefix'], rdma, useCdi: values['use-cdi'], kubelet: values.kubelet };
  return async ({ scope, metrics, succession }) => {
    const [{ runDevicePlugins }, { reportTo }, { deviceSources }] = await Promise.all([
      import('../devices/run.ts'),
      import('../devices/report.ts'),
      import('./device-sources.ts'),
    ]);
    const { native, host } = scope.node;
    const { signal, log, now, sleep } = scope;
    const hangups = new Set<() => void>();
    program.onHangup?.(() => {
      for (const call of hangups) {
        call();
      }
    });
    // Whatever is wrong with it, calls are served.
    const end = new AbortController();
    const ending = { now, sleep, log, signal: AbortSignal.any([signal, end.signal]) };
    await repeat(ending, 'cannot hand out devices', async () => {
      hangups.clear();
      const onHangup = (call: () => void): void => void hangups.add(call);
      const sources = deviceSources(files, scope, ROOT);
      const kubelet = { root: values.kubelet };
      const parts = {
        sources,
        kubelet,
        root: ROOT,
        native,
        host,
        onHangup,
        isPatient: true,
        succession,
        ...(metrics && { report: reportTo(metrics) }),
      };
      await runDevicePlugins(parts, { signal, log, now, sleep });
      end.abort(new Error('it has ended'));
      return 0;
    });
  };
}
