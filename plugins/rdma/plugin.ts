import type { Attachment, AttachmentCall, DeletionCall, NetworkCall, PodCall } from '../../lib/cni/call.ts';
import { CniError, type CodeWord, messageOf } from '../../lib/cni/errors.ts';
import { definePlugin, type Plugin } from '../../lib/cni/plugin.ts';
import { checkFailed } from '../../lib/cni/previous.ts';
import { refuseLongRecord } from '../../lib/cni/record-name.ts';
import { formatResult, type Result } from '../../lib/cni/result.ts';
import { reopenIfHere, type Sandbox, sandboxOfDevice } from '../../lib/cni/sandbox.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { Undo } from '../../lib/cni/undo.ts';
import { modeFault, rdmaMode } from '../../lib/rdma/mode.ts';
import { collect } from './collect.ts';
import { dataDirOf, RdmaConf, readWanted, wantedDevice } from './config.ts';
import { busDeviceOf } from './device.ts';
import { examine } from './examine.ts';
import { moveIntoPod } from './move-into-pod.ts';
import { requirePrevious } from './previous.ts';
import { recorded } from './recorded.ts';
import { nameOf, type RdmaState, readState, removeState, statesIn } from './state.ts';
import { deviceIn, takeBack } from './take-back.ts';

export const rdma: Plugin = definePlugin<RdmaConf>({
  name: 'rdma',
  about: 'rdma: moves the RDMA device of a NIC into a pod',
  conf: RdmaConf,
  add,
  del,
  check,
  status,
  gc,
  records: recorded,
  examine,
  validate,
  foresee: async ({ network, containerId, ifName }) => refuseLongRecord({ network, containerId, ifName }),
});

function validate(call: PodCall<RdmaConf>): void {
  requirePrevious(call);
  dataDirOf(call.conf.dataDir);
}

async function add(call: PodCall<RdmaConf>, scope: Scope): Promise<Result> {
  refuseLongRecord({ network: call.network, containerId: call.containerId, ifName: call.ifName });
  const previous = requirePrevious(call);
  formatResult(previous, call.version); // refuse one that cannot be printed before anything changes
  const dataDir = dataDirOf(call.conf.dataDir);
  await requireExclusive(scope, 'internal');
  using netns = scope.node.openNetns(call.netnsPath);
  await using undo = new Undo(scope);
  const device = await busDeviceOf(wantedDevice(call.conf), previous, netns, scope);
  await moveIntoPod(
    { device, netns, dataDir, owner: call, log: stepLog(scope, call.conf.args?.cni?.debug ?? false) },
    scope,
    undo,
  );
  undo.commit();
  return previous;
}

/** Succeeds when there is nothing to move back: the kernel returns the devices of a dead namespace. */
async function del(call: DeletionCall, scope: Scope): Promise<void> {
  const wanted = readWanted(call.document);
  const states = statesIn(dataDirOf(wanted.dataDir));
  const state = readState(states, nameOf(call), scope.log);
  using netns = state === undefined ? undefined : await reopenIfHere(scope, sandboxOfState(call, state));
  if (state !== undefined && netns !== undefined) {
    const known = { ...state, deviceId: state.deviceId || wanted.device };
    await takeBack(netns, known, scope, stepLog(scope, wanted.isVerbose));
  }
  removeState(states, nameOf(call), scope.log);
}

const sandboxOfState = (call: AttachmentCall<unknown>, { owner }: RdmaState): Sandbox =>
  owner?.namespace === undefined
    ? sandboxOfDevice(call)
    : { path: call.netnsPath || owner.netns, identity: owner.namespace };

async function check(call: PodCall<RdmaConf>, scope: Scope): Promise<void> {
  requirePrevious(call);
  await requireExclusive(scope, 'internal');
  const states = statesIn(dataDirOf(call.conf.dataDir));
  const state = readState(states, nameOf(call), scope.log);
  if (state === undefined) {
    throw checkFailed(`the attachment has no state: "${states.fileOf(nameOf(call))}" is missing`);
  }
  using netns = scope.node.openNetns(call.netnsPath);
  if ((await deviceIn(netns, state, scope)) === undefined) {
    const where = (await deviceIn(scope.node.host, state, scope)) === undefined ? '' : ': it is on the host';
    throw checkFailed(`RDMA device "${state.containerName}" is not in the container${where}`);
  }
}

async function status(call: NetworkCall<RdmaConf>, scope: Scope): Promise<void> {
  dataDirOf(call.conf.dataDir);
  await requireExclusive(scope, 'notAvailable');
}

async function gc(call: NetworkCall<RdmaConf>, scope: Scope, valid: readonly Attachment[] | undefined): Promise<void> {
  if (valid === undefined) {
    return; // no list of valid attachments was given
  }
  const log = stepLog(scope, call.conf.args?.cni?.debug ?? false);
  await collect({ network: call.network, dataDir: dataDirOf(call.conf.dataDir), valid, log }, scope);
}

/** @throws CniError with this code, saying what to do */
async function requireExclusive(scope: Scope, code: CodeWord): Promise<void> {
  let fault: string | undefined;
  try {
    fault = modeFault(await rdmaMode(scope.node.host));
  } catch (error) {
    throw new CniError(code, messageOf(error), { cause: error });
  }
  if (fault !== undefined) {
    throw new CniError(code, fault);
  }
}

const stepLog = (scope: Scope, isVerbose: boolean): ((line: string) => void) =>
  isVerbose ? (line) => scope.log(`rdma: ${line}`) : () => undefined;
