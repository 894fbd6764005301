import { CniError, type CodeWord, messageOf } from '../../lib/cni/errors.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { Attachment, Call, Host, Plugin } from '../../lib/cni/plugin.ts';
import { differs } from '../../lib/cni/previous.ts';
import { formatResult, type Result } from '../../lib/cni/result.ts';
import { reopenIfHere, type Sandbox, sandboxOf } from '../../lib/cni/sandbox.ts';
import { Undo } from '../../lib/cni/undo.ts';
import { modeFault, rdmaMode } from '../../lib/rdma/mode.ts';
import { collect } from './collect.ts';
import { dataDirOf, RdmaConf, readWanted, wantedDevice } from './config.ts';
import { busDeviceOf } from './device.ts';
import { examine } from './examine.ts';
import { give } from './give.ts';
import { demandPrevious } from './previous.ts';
import { recorded } from './recorded.ts';
import { nameOf, type RdmaState, readState, removeState, statesIn } from './state.ts';
import { deviceIn, takeBack } from './take-back.ts';

export const rdma: Plugin<RdmaConf> = {
  name: 'rdma',
  about: 'rdma: gives a pod the RDMA device of its NIC',
  conf: RdmaConf,
  add,
  del,
  check,
  status,
  gc,
  records: recorded,
  examine,
  validate: (call) => {
    demandPrevious(call);
    dataDirOf(call.conf.dataDir);
  },
};

async function add(call: Call<RdmaConf>, host: Host): Promise<Result> {
  const previous = demandPrevious(call);
  formatResult(previous, call.version); // one that cannot be printed is better known before anything is done
  const dataDir = dataDirOf(call.conf.dataDir);
  await demandExclusive(host, 'internal');
  using netns = host.openNetns(call.netnsPath);
  await using undo = new Undo(host.log);
  const device = await busDeviceOf(wantedDevice(call.conf), previous, netns, host);
  await give(
    { device, netns, dataDir, owner: call, log: stepLog(host, call.conf.args?.cni?.debug ?? false) },
    host,
    undo,
  );
  undo.commit();
  return previous;
}

/** Success whenever there is nothing to give back: a namespace that ended has given its devices back itself. */
async function del(call: Call<JsonObject>, host: Host): Promise<void> {
  const wanted = readWanted(call.document);
  const states = statesIn(dataDirOf(wanted.dataDir));
  const state = readState(states, nameOf(call), host.log);
  using netns = state === undefined ? undefined : await reopenIfHere(host, sandboxOfState(call, state));
  if (state !== undefined && netns !== undefined) {
    const known = { ...state, deviceId: state.deviceId || wanted.device };
    await takeBack(netns, known, host, stepLog(host, wanted.isVerbose));
  }
  removeState(states, nameOf(call), host.log);
}

const sandboxOfState = (call: Call<unknown>, { owner }: RdmaState): Sandbox =>
  owner?.namespace === undefined ? sandboxOf(call) : { path: call.netnsPath || owner.netns, identity: owner.namespace };

async function check(call: Call<RdmaConf>, host: Host): Promise<void> {
  demandPrevious(call);
  await demandExclusive(host, 'internal');
  const states = statesIn(dataDirOf(call.conf.dataDir));
  const state = readState(states, nameOf(call), host.log);
  if (state === undefined) {
    throw differs(`there is no state of the attachment: "${states.fileOf(nameOf(call))}" is missing`);
  }
  using netns = host.openNetns(call.netnsPath);
  if ((await deviceIn(netns, state, host)) === undefined) {
    const where = (await deviceIn(host.netns, state, host)) === undefined ? '' : ': it is on the host';
    throw differs(`RDMA device "${state.containerName}" is not in the container${where}`);
  }
}

async function status(call: Call<RdmaConf>, host: Host): Promise<void> {
  dataDirOf(call.conf.dataDir);
  await demandExclusive(host, 'notAvailable');
}

async function gc(call: Call<RdmaConf>, host: Host, valid: readonly Attachment[] | undefined): Promise<void> {
  if (valid === undefined) {
    return; // nothing was said of any attachment
  }
  const log = stepLog(host, call.conf.args?.cni?.debug ?? false);
  await collect({ network: call.network, dataDir: dataDirOf(call.conf.dataDir), valid, log }, host);
}

/** @throws CniError with this code and what a person must do */
async function demandExclusive(host: Host, code: CodeWord): Promise<void> {
  let fault: string | undefined;
  try {
    fault = modeFault(await rdmaMode(host.netns));
  } catch (error) {
    throw new CniError(code, messageOf(error), { cause: error });
  }
  if (fault !== undefined) {
    throw new CniError(code, fault);
  }
}

const stepLog = (host: Host, isVerbose: boolean): ((line: string) => void) =>
  isVerbose ? (line) => host.log(`rdma: ${line}`) : () => undefined;
