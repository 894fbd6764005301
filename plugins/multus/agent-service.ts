import type { AgentService } from '../../lib/cni/service.ts';

const OPTION = 'multus-config';

/** The agent in the place of the Go plugin's daemon. */
export const shimService: AgentService = {
  options: [
    {
      name: OPTION,
      value: 'FILE',
      about: 'serve multus-shim and multus-dynamic-networks-controller too, as this daemon-config.json says',
    },
  ],
  open: async (host) => {
    const file = host.options[OPTION];
    return typeof file === 'string' ? (await import('./thick/serve.ts')).openShimService(file, host) : undefined;
  },
};
