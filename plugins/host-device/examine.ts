import { confsOfType } from '../../lib/cli/confs.ts';
import { readConf } from '../../lib/cni/config.ts';
import { messageOf } from '../../lib/cni/errors.ts';
import type { Examined, Finding } from '../../lib/cni/findings.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { listDevices } from '../../lib/link/device.ts';
import { ifNameFault } from '../../lib/net/if-name.ts';
import { flatMapInTurn } from '../../lib/sys/in-turn.ts';
import { HostDeviceConf } from './config.ts';
import { recordsIn } from './record.ts';
import { findWanted, selectorText, wantedBy } from './select.ts';

/** The devices that are configured, and those that dead pods have left under other names. */
export async function examine(scope: Scope, { confs }: Examined): Promise<readonly Finding[]> {
  const own = confsOfType(confs, 'host-device', undefined, (conf) => JSON.stringify(conf));
  return [
    ...(await flatMapInTurn(own, (conf) => examineDevice(scope, conf))),
    ...(own.length > 0 ? await forgotten(scope, own) : []),
  ];
}

const SELECTORS = ['device', 'hwaddr', 'kernelpath', 'pciBusID'] as const;

async function examineDevice(scope: Scope, document: JsonObject): Promise<readonly Finding[]> {
  const network = `network "${String(document['name'])}"`;
  try {
    const conf = readConf(HostDeviceConf, document);
    if (SELECTORS.every((key) => conf[key] === '')) {
      const isFilledIn = Object.entries(conf.capabilities).some(([key, isOn]) => key === 'deviceID' && isOn);
      return isFilledIn ? [] : [unnamed(network)];
    }
    const wanted = wantedBy(conf, scope.node.sysfs);
    const found = wanted.isUserspace
      ? undefined
      : await findWanted(wanted, { netlink: scope.node.host.netlink, sysfs: scope.node.sysfs });
    const isTaken = recordsIn(conf.dataDir)
      .list(scope.log)
      .some(({ record }) => record.network === conf['name']);
    if (wanted.isUserspace || found !== undefined || isTaken) {
      return [];
    }
    return [
      {
        level: 'fault',
        text: `${network} wants ${selectorText(wanted)}, which is not on the node, and no pod has it`,
        fix: 'look whether it has another name now ("ip link"), or is bound to another driver',
      },
    ];
  } catch (error) {
    return [{ level: 'fault', text: `${network}: ${messageOf(error)}`, fix: 'correct the configuration' }];
  }
}

/** Whoever calls may fill one in, as multus of Kubernetes does. */
const unnamed = (network: string): Finding => ({
  level: 'warning',
  text: `${network} names no device: pods fail unless the caller of host-device fills one in`,
  fix: `name one by "${SELECTORS.join('", "')}", or declare the capability "deviceID" where the runtime has it`,
});

/** A device that was moved has its former name in its alias; one with a record is found by its record. */
async function forgotten(scope: Scope, confs: readonly JsonObject[]): Promise<readonly Finding[]> {
  const recorded = confs.flatMap((conf) =>
    recordsIn(typeof conf['dataDir'] === 'string' ? conf['dataDir'] : '').list(scope.log),
  );
  return (await listDevices(scope.node.host.netlink))
    .filter(({ name, alias }) => /^(net|dev|eth)\d+$/.test(name) && alias !== '' && alias !== name)
    .filter(({ alias }) => ifNameFault(alias) === undefined)
    .filter(({ alias }) => !recorded.some(({ record }) => record.picture.device.name === alias))
    .map(({ name, alias }) => ({
      level: 'warning',
      text: `link "${name}" was "${alias}" before a pod had it, and has not got its name back`,
      fix: `ip link set ${name} down; ip link set ${name} name ${alias} alias ""`,
    }));
}
