import { definePlugin, type Plugin } from '../../lib/cni/plugin.ts';
import { checkFailed, previousResult } from '../../lib/cni/previous.ts';
import { StaticConf } from './config.ts';
import { checkFault, planResult } from './plan.ts';

const plugin: Plugin = definePlugin<StaticConf>({
  name: 'static',
  about: 'static: gives the IP addresses that the configuration or the call names',
  conf: StaticConf,
  add: async (call) => planResult(call),
  del: async () => undefined, // nothing is kept of what was given
  check: async (call) => {
    const { ips } = planResult(call);
    const fault = checkFault(ips, previousResult(call).ips);
    if (fault !== undefined) {
      throw checkFailed(fault);
    }
  },
  status: async (call) => void planResult({ ...call, args: '' }), // the configuration is all that it needs
  gc: async () => undefined, // as DEL
  validate: (call) => void planResult(call),
});

export { plugin as static }; // a reserved word: no constant can be called so
