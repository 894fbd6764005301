import { statSync } from 'node:fs';
import { join } from 'node:path';
import { loaderIn } from '../../lib/cni/delegate.ts';
import { messageOf } from '../../lib/cni/errors.ts';
import { isObject, type JsonObject, lookUp, textIn } from '../../lib/cni/json.ts';
import type { AttachmentRecord } from '../../lib/cni/records.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { NEWEST } from '../../lib/cni/versions.ts';
import { AddressFolder, type Held } from './address-folder.ts';
import { folderOf } from './place.ts';

/** A network of this node that has its addresses from here. */
export interface ConfiguredNetwork {
  readonly name: string;
  readonly dataDir: string;
  readonly folder: string;
  readonly conf: JsonObject;
}

/**
 * Networks of plugins of this build. Those of others, as a node's primary network, are not ours to judge, whoever gives
 * their addresses.
 */
export function networksIn(confs: readonly JsonObject[], scope: Scope): readonly ConfiguredNetwork[] {
  const networks = confs.flatMap((conf) => {
    const [ipam, name] = [lookUp(conf, 'ipam'), textIn(conf, 'name')];
    const isOurs = loaderIn(scope.suite.registry, textIn(conf, 'type')) !== undefined;
    if (!isOurs || !isObject(ipam) || textIn(ipam, 'type') !== 'host-local' || name === '') {
      return [];
    }
    const dataDir = textIn(ipam, 'dataDir');
    return [{ name, dataDir, folder: folderOf(dataDir, name), conf }];
  });
  return [...new Map(networks.map((network) => [network.folder, network])).values()];
}

/** What attachments hold; a folder that cannot be read is told. */
export async function listRecords(scope: Scope, confs: readonly JsonObject[]): Promise<readonly AttachmentRecord[]> {
  return networksIn(confs, scope).flatMap((network) => {
    try {
      return recordsOf(network);
    } catch (error) {
      scope.log(messageOf(error));
      return [];
    }
  });
}

function recordsOf({ name, dataDir, folder }: ConfiguredNetwork): readonly AttachmentRecord[] {
  const attachments = Map.groupBy(new AddressFolder(folder).all(), ({ owner: { id, ifname } }) => `${id} ${ifname}`);
  return [...attachments.values()].map((held) => {
    const { id = '', ifname = '' } = held[0]?.owner ?? {};
    return {
      containerId: id,
      ifName: ifname,
      network: name,
      pod: '',
      netns: '',
      addresses: held.map((one) => one.name),
      device: '',
      sinceMs: sinceMs(folder, held),
      place: folder,
      release: { cniVersion: NEWEST, name, type: 'host-local', ipam: { type: 'host-local', dataDir } },
    };
  });
}

function sinceMs(folder: string, held: readonly Held[]): number | undefined {
  const times = held.flatMap(({ name }) => statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? []);
  return times.length === 0 ? undefined : Math.min(...times);
}
