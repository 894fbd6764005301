/** What keeps devices of this node from pods. Nothing where none are configured. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { messageOf } from '../cni/errors.ts';
import type { Finding } from '../cni/findings.ts';
import type { Scope } from '../cni/scope.ts';
import { discover } from '../devices/discovery.ts';
import type { DeviceFacts, KernelFacts } from '../devices/facts.ts';
import { foldersOf } from '../devices/kubelet/folders.ts';
import { fullName } from '../devices/names.ts';
import { readNodeFacts } from '../devices/node-facts.ts';
import { rdmaFilesIn } from '../devices/rdma-files.ts';
import { readSharedConfig } from '../devices/shared-rdma/config.ts';
import { sharedDevices, sharedSocketOf } from '../devices/shared-rdma/resource.ts';
import { readSriovConfig } from '../devices/sriov/config.ts';
import { sriovSocketOf } from '../devices/sriov/resource.ts';
import { assign } from '../devices/sriov/select.ts';
import { rdmaMode } from '../rdma/mode.ts';
import { KUBELET_FOLDER, RDMA_CONFIG, SRIOV_CONFIG, SRIOV_PREFIX } from './program.ts';

export const DEVICE_CONFIG_OPTIONS = {
  'config-file': { type: 'string', default: SRIOV_CONFIG },
  'resource-prefix': { type: 'string', default: SRIOV_PREFIX },
  'rdma-config-file': { type: 'string', default: RDMA_CONFIG },
  kubelet: { type: 'string', default: KUBELET_FOLDER },
} as const;

export type DeviceConfigValues = Readonly<Record<keyof typeof DEVICE_CONFIG_OPTIONS, string>>;

/** What is known of the node. */
export interface ExaminedNode {
  /** in front of `/sys` and `/dev` */
  readonly root: string;
  readonly kernel: KernelFacts;
  /** RDMA devices cannot be shared */
  readonly isRdmaExclusive: boolean;
  /** paths that somebody listens at, as these were when listening began */
  readonly listeners: readonly string[];
}

interface Examined {
  readonly name: string;
  readonly socket: string;
  readonly devices: number;
  readonly isRdma: boolean;
}

const ROOT = '/';
/** `SO_ACCEPTCON` in the flags of /proc/net/unix, then type, state, inode and path. */
const LISTENER = /^\S+: \S+ \S+ 00010000 \S+ \S+ +\d+ (\/.*)$/;
/** A socket of ours before it gets its name. */
const OWN = /^\.braid-\d+-\d+$/;

const fault = (text: string, fix: string): Finding => ({ level: 'fault', text, fix });
const warning = (text: string, fix: string): Finding => ({ level: 'warning', text, fix });

export async function examineDevices(scope: Scope, values: DeviceConfigValues): Promise<readonly Finding[]> {
  if (!existsSync(values['config-file']) && !existsSync(values['rdma-config-file'])) {
    return [];
  }
  const { host } = scope.node;
  const kernel = await readNodeFacts(host, ROOT);
  const isRdmaExclusive = (await rdmaMode(host)) === 'exclusive';
  const listeners = listenersIn(readFileSync('/proc/net/unix', 'utf8'));
  return findingsOf(values, { root: ROOT, kernel, isRdmaExclusive, listeners });
}

/** Paths in /proc/net/unix that somebody listens at. */
export const listenersIn = (table: string): readonly string[] =>
  table.split('\n').flatMap((line) => LISTENER.exec(line)?.[1] ?? []);

export function findingsOf(values: DeviceConfigValues, node: ExaminedNode): readonly Finding[] {
  const findings: Finding[] = [];
  const found = discover(join(node.root, 'sys'), node.kernel);
  const read = (file: string, work: (content: string) => readonly Examined[]): readonly Examined[] => {
    try {
      return existsSync(file) ? work(readFileSync(file, 'utf8')) : [];
    } catch (error) {
      const fix = 'correct it: what runs keeps the one before, and what is started anew hands out nothing of it';
      findings.push(fault(`cannot use configuration "${file}": ${messageOf(error)}`, fix));
      return [];
    }
  };
  const resources = [
    ...read(values['config-file'], (content) => sriovResources(content, values['resource-prefix'], found.devices)),
    ...read(values['rdma-config-file'], (content) => sharedResources(content, found.devices, node.root)),
  ];
  if (resources.some(({ isRdma }) => isRdma) && node.isRdmaExclusive) {
    const fix = 'run "rdma system set netns shared" before any other network namespace exists';
    findings.push(fault('RDMA devices cannot be shared: the RDMA subsystem is in exclusive mode', fix));
  }
  return [
    ...findings,
    ...found.faults.map(unusable),
    ...resources.filter(({ devices }) => devices === 0).map(empty),
    ...offered(values.kubelet, resources, node.listeners),
  ];
}

const sriovResources = (content: string, prefix: string, devices: readonly DeviceFacts[]): readonly Examined[] =>
  assign(readSriovConfig(content, prefix), devices).map(({ resource, devices: own }) => ({
    ...{ name: fullName(resource), socket: sriovSocketOf(resource), devices: own.size, isRdma: false },
  }));

function sharedResources(content: string, devices: readonly DeviceFacts[], root: string): readonly Examined[] {
  const files = rdmaFilesIn(root);
  return readSharedConfig(content).resources.map((resource) => ({
    name: fullName(resource),
    socket: sharedSocketOf(resource),
    devices: resource.places === 0 ? 0 : sharedDevices(resource, devices, files).length,
    isRdma: true,
  }));
}

const unusable = (text: string): Finding =>
  warning(
    text,
    text.endsWith('no driver is bound to it')
      ? 'bind one, as "modprobe" or driverctl do; it is offered as soon as it has one'
      : 'see "lspci -nnvk"',
  );

const empty = ({ name, isRdma }: Examined): Finding =>
  warning(
    `no device of this node belongs to resource "${name}"`,
    isRdma
      ? 'compare its selectors with "rdma link"; modules ib_umad and rdma_ucm make the files that it needs'
      : 'compare its selectors with "lspci -nnk"; "braid devices" shows which resource has which device',
  );

/** Whether the kubelet is told, and by whom. */
function offered(kubelet: string, resources: readonly Examined[], listeners: readonly string[]): readonly Finding[] {
  const { folder, older } = foldersOf({ root: kubelet });
  const socket = join(older, 'kubelet.sock');
  if (!existsSync(socket)) {
    const fix = 'start the kubelet, or say with --kubelet where its folder is';
    return [fault(`no kubelet takes devices: "${socket}" is missing`, fix)];
  }
  const isOurs = listeners.some((path) => dirname(path) === folder && OWN.test(basename(path)));
  return resources.flatMap(({ name, socket: file, devices, isRdma }) => {
    const path = join(folder, file);
    if (isOurs && listeners.includes(path)) {
      const go = isRdma ? 'k8s-rdma-shared-dp' : 'sriovdp';
      const fix = `end one of the two: delete its DaemonSet, or "${go}"`;
      return [fault(`another program offers resource "${name}" too: they take it from each other`, fix)];
    }
    return devices > 0 && !existsSync(path)
      ? [
          warning(
            `nobody offers resource "${name}" to the kubelet: "${path}" is missing`,
            'run "braid device-plugins", or "braid agent --device-config", as a service',
          ),
        ]
      : [];
  });
}
