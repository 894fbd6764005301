import { releaseAfter } from '../../lib/cni/addressed.ts';
import type { Attachment, DeletionCall, NetworkCall } from '../../lib/cni/call.ts';
import { runAll } from '../../lib/cni/errors.ts';
import { ipamType } from '../../lib/cni/ipam.ts';
import { textIn } from '../../lib/cni/json.ts';
import { type Sandbox, sandboxOfDevice } from '../../lib/cni/sandbox.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { lockVf, ownerOf, stateFolder } from './allocations.ts';
import type { SriovConf } from './config.ts';
import { belongsToAnother, giveBack } from './give-back.ts';
import { attachmentOf, type NamedRecord, nameOf, type Records, recordsIn, sandboxOfRecord } from './records.ts';
import { recoverRecord } from './recover.ts';

/**
 * DEL. Addresses are released after the VF: while it is in the pod, nobody else may get them. The record is kept until
 * both are done, so that a repeated DEL can complete the rest.
 */
export async function deleteVf(call: DeletionCall, scope: Scope): Promise<void> {
  const records = recordsIn(stateFolder(textIn(call.document, 'dataDir')));
  const known = records.readOrLog(nameOf(call), scope.log);
  const record = known ?? (await recoverRecord(call, scope, records));
  // the IPAM plugin of ADD releases the addresses, whatever the configuration says now
  const type = known === undefined ? ipamType(call.document) : known.ipamType;
  const addressed = { ...call, document: type === '' ? {} : { ipam: { type } } };
  await releaseAfter(addressed, scope, async () => {
    if (record !== undefined) {
      await giveBackOwn(scope, records, { name: nameOf(call), record }, sandboxOfDevice(call));
    }
  });
  records.remove(nameOf(call));
}

/** GC: frees the VFs of this network's attachments that the runtime does not know. */
export async function collect(call: NetworkCall<SriovConf>, scope: Scope, valid: readonly Attachment[]): Promise<void> {
  const records = recordsIn(stateFolder(call.conf.dataDir));
  const names = new Set(valid.map(({ containerID, ifname }) => nameOf({ containerId: containerID, ifName: ifname })));
  const strays = records
    .list(scope.log)
    .filter(({ name, record }) => record.network === call.network && !names.has(name));
  await runAll(
    strays.map((stray) => async () => {
      await giveBackOwn(scope, records, stray, undefined);
      records.remove(stray.name);
    }),
  );
}

async function giveBackOwn(
  scope: Scope,
  records: Records,
  named: NamedRecord,
  given: Sandbox | undefined,
): Promise<void> {
  const { deviceId } = named.record;
  using _lock = await lockVf(scope, records.path, deviceId);
  if (await belongsToAnother(scope, records, named)) {
    scope.log(`VF "${deviceId}" is left alone: another pod has it now`);
    return;
  }
  const sandboxes = sandboxesOf(records, named, given);
  await giveBack(scope, records, named, { sandboxes, ifName: attachmentOf(named)?.ifName ?? '' });
}

/** Where the pod may be: from the record, the call or the allocation. */
function sandboxesOf(records: Records, named: NamedRecord, given: Sandbox | undefined): readonly Sandbox[] {
  const recorded = sandboxOfRecord(records, named);
  const owner = ownerOf(records.path, named.record.deviceId) ?? '';
  return recorded.identity === undefined
    ? [given, recorded, { path: owner }].filter((sandbox) => sandbox !== undefined)
    : [{ ...recorded, path: given?.path || recorded.path }];
}
