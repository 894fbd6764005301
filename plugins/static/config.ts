import { type Conf, conf, dns, list, object, routes, section, text, word } from '../../lib/cni/config.ts';

const ips = (about: string) => list(text('an address with its prefix length'), about);

/** The whole document: static gets the configuration of the plugin that asked it. */
export const StaticConf = conf({
  ipam: section(
    {
      type: word('static', 'must be "static"'),
      addresses: list(
        object({
          address: text('an address with its prefix length: "10.1.2.3/24"'),
          gateway: text('its gateway'),
        }),
        'what the interface gets, in this order; without any here, the call has to bring them',
      ),
      routes: routes('copied into the result, with `mtu`, `advmss`, `priority`, `table` and `scope`'),
      dns: dns('copied into the result'),
    },
    'where addresses come from',
  ),
  args: section(
    { cni: section({ ips: ips('addresses to give instead of `ipam.addresses`') }, 'those for CNI plugins') },
    'optional settings',
  ),
  runtimeConfig: section(
    { ips: ips('addresses to give instead of all others (capability `ips`)') },
    'filled in by the runtime',
  ),
});
export type StaticConf = Conf<typeof StaticConf>;
