/**
 * What the Go SR-IOV network device plugin does for virtual functions with interfaces, for a node that is to go over from it
 * and back: names, variables, files for multus, and that it removes these at its start and end, whoever has the devices.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pairsOf } from '../containerd/protobuf.ts';
import { serveDevices } from './device-server.ts';
import type { Node } from './node.ts';

const SOCKETS = '/var/lib/kubelet/plugins_registry';
const INFOS = '/run/k8s.cni.cncf.io/devinfo/dp';

export interface GoResource {
  readonly prefix: string;
  readonly name: string;
  readonly ids: readonly string[];
  /** of `additionalInfo`, for all */
  readonly extra: Readonly<Record<string, string>>;
}

/** Serves a resource until it is disposed of, as a program does that is told to end. */
export async function startGoDevicePlugin(node: Node, { prefix, name, ids, extra }: GoResource): Promise<Disposable> {
  const endpoint = `${SOCKETS}/${prefix}_${name}.sock`;
  const socket = node.pathHere(endpoint);
  const folder = node.pathHere(INFOS);
  const infoOf = (id: string): string => join(folder, `${prefix}-${name}-${id}-device.json`);
  const cleanUp = (): void => {
    for (const path of [socket, ...ids.map(infoOf)]) {
      rmSync(path, { force: true });
    }
  };
  const variable = `PCIDEVICE_${prefix}_${name}`.replaceAll('.', '_').toUpperCase();
  const allocate = (wanted: readonly string[]) => {
    for (const id of wanted) {
      rmSync(infoOf(id), { force: true });
      const info = { type: 'pci', version: '1.1.0', pci: { 'pci-address': id } };
      writeFileSync(infoOf(id), JSON.stringify(info), { mode: 0o444 });
    }
    const infos = wanted.toSorted().map((id) => [id, { extra, generic: { deviceID: id } }]);
    const env = { [variable]: wanted.join(','), [`${variable}_INFO`]: JSON.stringify(Object.fromEntries(infos)) };
    return { env: pairsOf(env) };
  };
  mkdirSync(folder, { recursive: true });
  cleanUp();
  const server = await serveDevices({ resource: `${prefix}/${name}`, socket, endpoint, ids, allocate });
  return {
    [Symbol.dispose]: () => {
      server[Symbol.dispose]();
      cleanUp();
    },
  };
}
