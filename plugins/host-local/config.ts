import { type Conf, conf, list, object, routes, section, text, word } from '../../lib/cni/config.ts';
import { DEFAULT_DATA_DIR } from './place.ts';

const bounds = {
  subnet: text('"10.1.0.0/16": addresses are given with its prefix length'),
  rangeStart: text('first address to give; the second of the subnet when empty'),
  rangeEnd: text('last address to give; when empty the last of the subnet, in IPv4 the one before it'),
  gateway: text('given with every address and never given away; the second address of the subnet when empty'),
};

const sets = (about: string) => list(list(object(bounds), 'ranges of one set: one address of all of them'), about);

const older = (key: keyof Bounds) => text(`the older form, for one range before those of \`ranges\`: its \`${key}\``);

/** The whole document: host-local gets the configuration of the plugin that asked it. */
export const HostLocalConf = conf({
  ipam: section(
    {
      type: word('host-local', 'must be "host-local"'),
      ranges: sets('sets of ranges: one address of each set is given, in this order'),
      subnet: older('subnet'),
      rangeStart: older('rangeStart'),
      rangeEnd: older('rangeEnd'),
      gateway: older('gateway'),
      routes: routes('copied into the result'),
      resolvConf: text('a file in the form of resolv.conf, whose settings are the `dns` of the result'),
      dataDir: text(`folder in which each network has one with its addresses; ${DEFAULT_DATA_DIR} when empty`),
    },
    'where addresses come from',
  ),
  runtimeConfig: section(
    {
      ipRanges: sets('sets of ranges that come before those of `ipam`'),
      ips: list(text('an address, with or without a prefix length'), 'addresses that are asked for'),
    },
    'what the runtime has filled in',
  ),
  args: section(
    {
      cni: section(
        { ips: list(text('an address, with or without a prefix length'), 'addresses that are asked for') },
        'arguments of the network',
      ),
    },
    'arguments in the configuration',
  ),
});
export type HostLocalConf = Conf<typeof HostLocalConf>;

/** A range as it is written. */
export interface Bounds {
  readonly subnet: string;
  readonly rangeStart: string;
  readonly rangeEnd: string;
  readonly gateway: string;
}
