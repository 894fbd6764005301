import { messageOf } from '../../../lib/cni/errors.ts';
import type { OpenService, ServiceHost } from '../../../lib/cni/service.ts';
import type { Env } from '../../../lib/sys/execute.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { PodEvents } from '../cluster/events.ts';
import { binDirOf, reachedBy } from '../places.ts';
import { multus } from '../plugin.ts';
import { NO_POD, podOf } from '../runtime-args.ts';
import { type Daemon, readDaemonConf } from './daemon-conf.ts';
import { delegatePlugin } from './delegate.ts';
import { answerTo, type Serving } from './handlers.ts';
import { openRoot } from './root.ts';
import { isShimConfWanted, keepShimConf } from './shim-conf.ts';

/** @throws CniError when the file cannot be used */
export function openShimService(file: string, host: ServiceHost): OpenService {
  const daemon = readDaemonConf(file);
  const root = openRoot({ folder: daemon.root, env: host.env, log: host.scope.log });
  const base = { ...agentEnv(host.env), ...root.env };
  const run: ServiceHost['run'] = (plugin, invocation, gone) => host.run(root.holds(plugin), invocation, gone);
  if (daemon.unheeded.length > 0) {
    host.scope.log(`passes over keys of "${file}": ${daemon.unheeded.join(', ')}`);
  }
  return {
    door: {
      socket: daemon.socket,
      mostCallers: daemon.mostCallers,
      answer: (request, gone) => answerTo(servingOf(daemon, { ...host, run }, base, gone), request),
    },
    keep: async (signal) => {
      if (isShimConfWanted(daemon.shim)) {
        await keepShimConf(daemon.document, daemon.shim, { signal, log: host.scope.log });
      }
    },
  };
}

/** Delegates get the agent's environment, as those of the daemon do. */
const agentEnv = (env: Env): Env =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('CNI_')));

function servingOf(daemon: Daemon, host: ServiceHost, base: Env, gone: AbortSignal): Serving {
  const cluster = (): Promise<Cluster | undefined> => clusterOf(daemon, host, base);
  return {
    cniPath: binDirOf(daemon.common),
    overlay: daemon.overlay,
    isShuttingDown: host.isClosing,
    podUid: async (namespace, name) => {
      const known = await cluster();
      const pod = await known?.findPod({ ...NO_POD, namespace, name });
      if (known !== undefined && pod === undefined) {
        throw new Error('the API server knows no such pod');
      }
      return pod?.metadata.uid ?? ''; // nobody knows UIDs outside Kubernetes
    },
    run: (env, stdin) => host.run(multus, { env: { ...base, ...env }, readStdin: () => stdin }, gone),
    runDelegate: async (env, config, attributes) => {
      const { namespace, name, uid } = podOf(env['CNI_ARGS'] ?? '');
      const events = new PodEvents({ namespace, name, uid }, host.scope);
      const plugin = delegatePlugin({ common: daemon.common, attributes, tell: (event) => events.record(event) });
      const outcome = await host.run(plugin, { env: { ...base, ...env }, readStdin: () => config }, gone);
      await tell(events, cluster, host);
      return outcome;
    },
  };
}

/** The API server that the daemon's configuration names, or that of the cluster in which the agent is a pod. */
async function clusterOf({ conf }: Daemon, { scope }: ServiceHost, env: Env): Promise<Cluster | undefined> {
  const reached = reachedBy(conf, env);
  return reached && (await import('../cluster/cluster.ts')).clusterOf(reached, conf, scope);
}

/** A call does not fail for it. */
async function tell(
  events: PodEvents,
  cluster: () => Promise<Cluster | undefined>,
  { scope }: ServiceHost,
): Promise<void> {
  try {
    const known = await cluster();
    if (known !== undefined) {
      await events.flush(await known.api());
    }
  } catch (error) {
    scope.log(`cannot tell a pod of an interface: ${messageOf(error)}`);
  }
}
