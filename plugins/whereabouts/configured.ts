import { readConf } from '../../lib/cni/config.ts';
import { messageOf } from '../../lib/cni/errors.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import { NEWEST } from '../../lib/cni/versions.ts';
import { parseCidrLenient } from '../../lib/net/cidr.ts';
import { type Ip, parseIpLenient } from '../../lib/net/ip.ts';
import { IpamConf } from './config.ts';
import { withFlatFile } from './flat-file.ts';
import { type FilePlace, placeOf } from './place.ts';
import { type ConfiguredRange, readRanges } from './ranges.ts';
import { readStatics } from './statics.ts';
import { ipamsIn } from './stores.ts';
import { type Suspect, suspectsIn } from './suspects.ts';

/** What a configuration of this node says of the addresses in one store. */
export interface Configured {
  readonly place: FilePlace;
  readonly ranges: readonly ConfiguredRange[];
  /** addresses that are given as they are, and gateways */
  readonly statics: readonly Ip[];
  readonly suspects: readonly Suspect[];
}

/** Configurations with the "file" datastore; one that cannot be used is told. */
export function configuredIn(confs: readonly JsonObject[], log: (line: string) => void): readonly Configured[] {
  return ipamsIn(confs).flatMap((ipam) => {
    try {
      const conf = withFlatFile(IpamConf, readConf(IpamConf, ipam, 'ipam'));
      if (conf.datastore !== 'file') {
        return [];
      }
      const statics = readStatics(conf.addresses, {}, NEWEST);
      const given = statics.flatMap(({ address, gateway }) => [address, gateway]);
      const ranges = readRanges(conf);
      return [
        {
          place: placeOf(conf.data_dir, conf.network_name),
          ranges,
          suspects: suspectsIn({ ...conf, statics }, ranges),
          statics: [...given, conf.gateway].flatMap((text) => (text ? (ipIn(text) ?? []) : [])),
        },
      ];
    } catch (error) {
      log(messageOf(error));
      return [];
    }
  });
}

const ipIn = (text: string): Ip | undefined => parseCidrLenient(text)?.ip ?? parseIpLenient(text);
