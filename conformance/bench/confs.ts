/** The same networks as configurations for our plugins and for those of Go. */
import { join } from 'node:path';
import { nicName } from './lab.ts';

export type Conf = Readonly<Record<string, unknown>>;

const CNI_VERSION = '1.0.0';

const macvlan = (network: number, ipam: Conf): Conf => ({
  cniVersion: CNI_VERSION,
  name: `rail${network}`,
  type: 'macvlan',
  master: nicName(network),
  mode: 'bridge',
  ipam,
});

/** The same for a device that is handed over whole. */
export const asHostDevice = ({ master, mode: _, ...network }: Conf, folder: string): Conf => ({
  ...network,
  type: 'host-device',
  device: master,
  dataDir: join(folder, 'host-device'),
});

const range = (network: number): string => `10.${72 + network}.0.0/16`;

/** macvlan with whereabouts on the file store. */
export const ourNetwork = (network: number, folder: string): Conf =>
  macvlan(network, {
    type: 'whereabouts',
    datastore: 'file',
    data_dir: join(folder, 'whereabouts'),
    range: range(network),
  });

/** macvlan with host-local. */
export const goNetwork = (network: number, folder: string): Conf =>
  macvlan(network, {
    type: 'host-local',
    dataDir: join(folder, 'host-local'),
    ranges: [[{ subnet: range(network) }]],
  });

export const multus = (delegates: readonly Conf[], binDir: string, cniDir: string): Conf => ({
  cniVersion: CNI_VERSION,
  name: 'bench',
  type: 'multus',
  binDir,
  cniDir,
  logToStderr: false,
  delegates,
});

/** What a runtime hands back from version 0.4.0 on. */
export const withResult = (conf: Conf, stdout: string): Conf => ({
  ...conf,
  prevResult: JSON.parse(stdout) as unknown,
});
