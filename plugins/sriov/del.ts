import { doAll } from '../../lib/cni/errors.ts';
import { ipamDel, ipamType } from '../../lib/cni/ipam.ts';
import { type JsonObject, lookUp } from '../../lib/cni/json.ts';
import type { Attachment, Call, Host } from '../../lib/cni/plugin.ts';
import type { SriovConf } from './config.ts';
import { giveBack, isSomebodyElses, type Whereabouts } from './give-back.ts';
import { lockVf, ownerOf, stateFolder } from './places.ts';
import type { SriovRecord } from './record.ts';
import { listRecords, type NamedRecord, nameOf, readRecord, removeRecord } from './records.ts';
import { recordWithoutFile } from './recover.ts';

/**
 * DEL. The VF goes first and its addresses after it: while it is in the pod nobody else may get them. The record is kept
 * until both are done, so that another DEL can complete what this one could not.
 */
export async function deleteVf(call: Call<JsonObject>, host: Host): Promise<void> {
  const folder = stateFolder(dataDirOf(call.document));
  const known = readRecord(folder, call, host.log);
  const record = known ?? (await recordWithoutFile(call, host, folder));
  await doAll([
    async () => {
      if (record !== undefined) {
        const where = { netnsPaths: pathsOf(record, call.netnsPath, folder), ifName: call.ifName };
        await giveBackOwn(host, folder, { name: nameOf(call), record }, call.netnsPath, where);
      }
    },
    () => giveAddressesBack(call, host, known),
  ]);
  removeRecord(folder, nameOf(call));
}

/** GC: attachments of this network that the runtime does not know. */
export async function collect(call: Call<SriovConf>, host: Host, valid: readonly Attachment[]): Promise<void> {
  const folder = stateFolder(call.conf.dataDir);
  const names = new Set(valid.map(({ containerID, ifname }) => nameOf({ containerId: containerID, ifName: ifname })));
  const strays = listRecords(folder, host.log).filter(
    ({ name, record }) => record.network === call.network && !names.has(name),
  );
  await doAll(
    strays.map((stray) => async () => {
      const { record, name } = stray;
      const where = { netnsPaths: pathsOf(record, '', folder), ifName: record.own?.ifName ?? '' };
      await giveBackOwn(host, folder, stray, record.own?.netns ?? '', where);
      removeRecord(folder, name);
    }),
  );
}

async function giveBackOwn(
  host: Host,
  folder: string,
  { name, record }: NamedRecord,
  netnsPath: string,
  where: Whereabouts,
): Promise<void> {
  using _lock = await lockVf(host, folder, record.deviceId);
  const known = netnsPath === '' ? (record.own?.netns ?? '') : netnsPath;
  if (isSomebodyElses(host, folder, record, { netnsPath: known, name })) {
    host.log(`VF "${record.deviceId}" is left alone: another pod has it by now`);
    return;
  }
  await giveBack(host, folder, record, where);
}

/** Where the pod may be: as the call says, as it was said at ADD, as the allocation says. */
function pathsOf({ own, deviceId }: SriovRecord, netnsPath: string, folder: string): readonly string[] {
  const paths = [netnsPath, own?.netns ?? '', ownerOf(folder, deviceId) ?? ''];
  return [...new Set(paths)].filter((path) => path !== '');
}

/** What ADD used is asked, whatever the configuration says by now. */
async function giveAddressesBack(call: Call<JsonObject>, host: Host, record: SriovRecord | undefined): Promise<void> {
  const type = record === undefined ? ipamType(call.document) : record.ipamType;
  if (type !== '') {
    await ipamDel({ ...call, document: { ipam: { type } } }, host);
  }
}

function dataDirOf(document: JsonObject): string {
  const value = lookUp(document, 'dataDir');
  return typeof value === 'string' ? value : '';
}
