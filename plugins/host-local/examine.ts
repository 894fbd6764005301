import { readConf } from '../../lib/cni/config.ts';
import { messageOf } from '../../lib/cni/errors.ts';
import type { Examined, Finding } from '../../lib/cni/findings.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { probeFolder } from '../../lib/sys/probe-folder.ts';
import { AddressFolder } from './address-folder.ts';
import { HostLocalConf } from './config.ts';
import { fullnessOf } from './fullness.ts';
import { type ConfiguredNetwork, networksIn } from './recorded.ts';
import { setsOf } from './settings.ts';

/** Folders that cannot be written, sets without addresses, and files that a kill or a full disk has left. */
export const examine = async (scope: Scope, { confs }: Examined): Promise<readonly Finding[]> =>
  networksIn(confs, scope).flatMap((network) => [...examineFolder(network), ...examineSets(network)]);

function examineFolder({ folder }: ConfiguredNetwork): readonly Finding[] {
  try {
    probeFolder(folder);
    const { length } = new AddressFolder(folder).abandoned();
    return length === 0
      ? []
      : [
          {
            level: 'warning',
            text: `folder "${folder}" has ${length} empty files, left by a kill or a full disk: their addresses are given when no other is free`,
            fix: 'GC of the runtime, and the next DEL that reads them, remove them',
          },
        ];
  } catch (error) {
    return [{ level: 'fault', text: `${messageOf(error)}: no address can be given`, fix: 'free or remount the disk' }];
  }
}

function examineSets({ name, folder, conf }: ConfiguredNetwork): readonly Finding[] {
  try {
    return fullnessOf(folder, setsOf(readConf(HostLocalConf, conf)))
      .filter(({ free }) => free <= 0n)
      .map(({ set, all }) => ({
        level: 'fault',
        text: `network "${name}": all ${all} addresses of ${set} are taken`,
        fix: `widen the range, or look for leaks in "${folder}": "braid gc" collects those of dead containers`,
      }));
  } catch {
    return []; // said of the configuration
  }
}
