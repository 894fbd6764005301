import { confsOfType } from '../../lib/cli/confs.ts';
import { readConf } from '../../lib/cni/config.ts';
import { messageOf } from '../../lib/cni/errors.ts';
import type { Examined, Finding } from '../../lib/cni/findings.ts';
import { type JsonObject, textIn } from '../../lib/cni/json.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { listDevices } from '../../lib/link/device.ts';
import { ifNameFault } from '../../lib/net/if-name.ts';
import { flatMapInTurn } from '../../lib/sys/in-turn.ts';
import { HostDeviceConf } from './config.ts';
import { recordsIn } from './record.ts';
import { findSelected, resolveSelector, selectorText } from './select.ts';

/** Checks that configured devices exist, and looks for devices that dead pods left under other names. */
export async function examine(scope: Scope, { confs }: Examined): Promise<readonly Finding[]> {
  const own = confsOfType(confs, 'host-device', undefined, (conf) => JSON.stringify(conf));
  return [
    ...(await flatMapInTurn(own, (conf) => examineDevice(scope, conf))),
    ...(own.length > 0 ? await orphaned(scope, own) : []),
  ];
}

const SELECTORS = ['device', 'hwaddr', 'kernelpath', 'pciBusID'] as const;

async function examineDevice(scope: Scope, document: JsonObject): Promise<readonly Finding[]> {
  const network = `network "${String(document['name'])}"`;
  try {
    const conf = readConf(HostDeviceConf, document);
    if (SELECTORS.every((key) => conf[key] === '')) {
      const isFilledIn = Object.entries(conf.capabilities).some(([key, isOn]) => key === 'deviceID' && isOn);
      return isFilledIn ? [] : [noDevice(network)];
    }
    const wanted = resolveSelector(conf, scope.node.sysfs);
    const found = wanted.isUserspace
      ? undefined
      : await findSelected(wanted, { netlink: scope.node.host.netlink, sysfs: scope.node.sysfs });
    const isTaken = recordsIn(conf.dataDir)
      .list(scope.log)
      .some(({ record }) => record.network === conf['name']);
    if (wanted.isUserspace || found !== undefined || isTaken) {
      return [];
    }
    return [
      {
        level: 'fault',
        text: `${network} wants ${selectorText(wanted)}, which is neither on the node nor in a pod`,
        fix: 'check whether it was renamed ("ip link") or is bound to another driver',
      },
    ];
  } catch (error) {
    return [{ level: 'fault', text: `${network}: ${messageOf(error)}`, fix: 'fix the configuration' }];
  }
}

/** The caller may fill one in, as multus for Kubernetes does. */
const noDevice = (network: string): Finding => ({
  level: 'warning',
  text: `${network} names no device: pods fail unless the runtime passes one`,
  fix: `set one of "${SELECTORS.join('", "')}", or declare the capability "deviceID" if the runtime supports it`,
});

/** A moved device has its former name as alias; one with a record is found by its record. */
async function orphaned(scope: Scope, confs: readonly JsonObject[]): Promise<readonly Finding[]> {
  const recorded = confs.flatMap((conf) => recordsIn(textIn(conf, 'dataDir')).list(scope.log));
  return (await listDevices(scope.node.host.netlink))
    .filter(({ name, alias }) => /^(net|dev|eth)\d+$/.test(name) && alias !== '' && alias !== name)
    .filter(({ alias }) => ifNameFault(alias) === undefined)
    .filter(({ alias }) => !recorded.some(({ record }) => record.picture.device.name === alias))
    .map(({ name, alias }) => ({
      level: 'warning',
      text: `link "${name}" was named "${alias}" before a pod had it, and was not renamed back`,
      fix: `ip link set ${name} down; ip link set ${name} name ${alias} alias ""`,
    }));
}
