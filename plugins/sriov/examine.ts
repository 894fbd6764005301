import { existsSync, globSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { confsOfType } from '../../lib/cli/confs.ts';
import { examineLinkPath } from '../../lib/cli/link-path.ts';
import type { Examined, Finding } from '../../lib/cni/findings.ts';
import { type JsonObject, textIn } from '../../lib/cni/json.ts';
import { reopen } from '../../lib/cni/sandbox.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { attributeOf, type BusDevice, driverOf, netNamesOf } from '../../lib/sys/bus-device.ts';
import { flatMapInTurn } from '../../lib/sys/in-turn.ts';
import { ownerOf, stateFolder } from './allocations.ts';
import { recordsIn } from './records.ts';

const fault = (text: string, fix: string): Finding => ({ level: 'fault', text, fix });
const warning = (text: string, fix: string): Finding => ({ level: 'warning', text, fix });

/** Checks PFs, VFs and the IOMMU, and finds VFs allocated to dead pods. */
export async function examine(scope: Scope, { confs }: Examined): Promise<readonly Finding[]> {
  const own = confsOfType(confs, 'sriov', undefined, (conf) => stateFolder(textIn(conf, 'dataDir')));
  if (own.length === 0) {
    return [];
  }
  const pfs = physicalFunctions(scope.node.sysfs);
  if (pfs.length === 0) {
    return [
      fault(
        'a network needs VFs, but no NIC of this node supports SR-IOV',
        'enable SR-IOV in the firmware of the NIC and of the machine; in a virtual machine use host-device',
      ),
    ];
  }
  return [
    ...(await flatMapInTurn(pfs, (pf) => examinePf(scope, pf))),
    ...examineIommu(scope, pfs),
    ...(await flatMapInTurn(own, (conf) => orphaned(scope, stateFolder(textIn(conf, 'dataDir'))))),
    ...confs.filter((conf) => textIn(conf, 'type') === 'sriov').flatMap(examineDeviceId),
  ];
}

/** The device plugin passes it through multus for Kubernetes only, and never to the pod's default network. */
const examineDeviceId = (conf: JsonObject): readonly Finding[] =>
  textIn(conf, 'deviceID') !== ''
    ? []
    : [
        warning(
          `network "${textIn(conf, 'name')}" names no VF: pods fail unless the caller passes "deviceID"`,
          'set "deviceID", or call it through multus for Kubernetes, for a pod that requests its resource',
        ),
      ];

const physicalFunctions = (sysfs: string): readonly BusDevice[] =>
  globSync('bus/pci/devices/*/sriov_totalvfs', { cwd: sysfs })
    .sort()
    .map((path): BusDevice => ({ bus: 'pci', name: basename(dirname(path)), folder: join(sysfs, dirname(path)) }))
    .filter((device) => existsSync(join(device.folder, 'net')));

async function examinePf(scope: Scope, pf: BusDevice): Promise<readonly Finding[]> {
  const [name = pf.name] = netNamesOf(pf);
  const made = Number(attributeOf(pf, 'sriov_numvfs') ?? '0');
  const most = attributeOf(pf, 'sriov_totalvfs') ?? '?';
  if (made === 0) {
    return [
      warning(
        `PF "${name}" (${pf.name}) has no VFs (${most} are possible)`,
        `echo ${most} > /sys/bus/pci/devices/${pf.name}/sriov_numvfsat every boot`,
      ),
    ];
  }
  const bare = vfsOf(pf).filter((vf) => driverOf(vf) === undefined);
  return [
    ...(await examineLinkPath(scope.node.host.netlink, name)),
    ...(bare.length === 0
      ? []
      : [
          warning(
            `${bare.length} of ${made} VFs of PF "${name}" have no driver: ${bare.map((vf) => vf.name).join(', ')}`,
            'bind them: echo ADDRESS > /sys/bus/pci/drivers/DRIVER/bind, or set sriov_drivers_autoprobe before creating them',
          ),
        ]),
  ];
}

const vfsOf = (pf: BusDevice): readonly BusDevice[] =>
  globSync('virtfn*', { cwd: pf.folder }).map((name) => ({ bus: 'pci', name, folder: join(pf.folder, name) }));

/** Only userspace drivers need it. */
function examineIommu({ node: { sysfs } }: Scope, pfs: readonly BusDevice[]): readonly Finding[] {
  const isUsed = pfs.flatMap(vfsOf).some((vf) => driverOf(vf) === 'vfio-pci');
  return isUsed && namesIn(join(sysfs, 'class/iommu')).length === 0
    ? [
        fault(
          'VFs are bound to vfio-pci, but the IOMMU is off: no program can open them',
          'boot with intel_iommu=on or amd_iommu=on, and iommu=pt',
        ),
      ]
    : [];
}

/** Allocations of dead pods without a record that would free them. */
async function orphaned(scope: Scope, folder: string): Promise<readonly Finding[]> {
  const records = recordsIn(folder).list(scope.log);
  const recorded = new Set(records.map(({ record }) => record.deviceId));
  const allocated = namesIn(join(folder, 'pci')).filter((name) => /^[0-9a-f]+:/.test(name) && !recorded.has(name));
  return flatMapInTurn(allocated, async (deviceId) => {
    const { netns } = await reopen(scope, { path: ownerOf(folder, deviceId) });
    netns?.[Symbol.dispose]();
    return netns === undefined
      ? [
          warning(
            `VF ${deviceId} is allocated to a pod that is gone`,
            `rm "${join(folder, 'pci', deviceId)}"after checking that the VF is on the node ("ip link")`,
          ),
        ]
      : [];
  });
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
