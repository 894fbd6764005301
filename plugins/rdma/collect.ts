import type { Attachment } from '../../lib/cni/call.ts';
import { runAll } from '../../lib/cni/errors.ts';
import { reopenIfHere } from '../../lib/cni/sandbox.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { listRdmaDevices } from '../../lib/rdma/devices.ts';
import { EMPTY_STATE, type RdmaState, readState, removeState, statesIn } from './state.ts';
import { namesOf, takeBack } from './take-back.ts';

export interface Collection {
  readonly network: string;
  readonly dataDir: string;
  readonly valid: readonly Attachment[];
  readonly log: (line: string) => void;
}

/**
 * Moves back the devices of the network's attachments that are no longer valid. A failure does not stop the others.
 *
 * @throws CniError with all failures
 */
export function collect({ network, dataDir, valid, log }: Collection, scope: Scope): Promise<void> {
  const folder = statesIn(dataDir);
  const states = new Map(folder.names().map((name) => [name, readState(folder, name, scope.log) ?? EMPTY_STATE]));
  const invalid = [...states].filter(
    ([file, state]) => isOf(network, file, state) && !isValid(network, file, state, valid),
  );
  return runAll(
    invalid.map(([file, state]) => async () => {
      if (!(await isReleased(state, states, scope, log))) {
        scope.log(
          `cannot collect "${folder.fileOf(file)}": the device is not on the host, and the file does not name its pod`,
        );
        return;
      }
      removeState(folder, file, scope.log);
      states.delete(file);
    }),
  );
}

const isOf = (network: string, file: string, { owner }: RdmaState): boolean =>
  owner === undefined ? file.startsWith(`${network}-`) : owner.network === network;

const isValid = (network: string, file: string, { owner }: RdmaState, valid: readonly Attachment[]): boolean =>
  valid.some(({ containerID, ifname }) =>
    owner === undefined
      ? file === `${network}-${containerID}-${ifname}`
      : owner.containerId === containerID && owner.ifName === ifname,
  );

/** Whether the device is on the host now. A file of the Go plugin does not say enough to find it elsewhere. */
async function isReleased(
  state: RdmaState,
  states: ReadonlyMap<string, RdmaState>,
  scope: Scope,
  log: (line: string) => void,
): Promise<boolean> {
  if (state.owner === undefined) {
    const names = namesOf(state);
    return names.length === 0 || (await listRdmaDevices(scope.node.host)).some(({ name }) => names.includes(name));
  }
  // the path may lead to another pod by now, which has its own state if it has the device
  const isClaimed = [...states.values()].some((other) => other !== state && isSameDevice(other, state));
  const { netns: path, namespace } = state.owner;
  using netns = isClaimed ? undefined : await reopenIfHere(scope, { path, identity: namespace });
  if (netns !== undefined) {
    await takeBack(netns, state, scope, log);
  }
  return true;
}

const isSameDevice = (a: RdmaState, b: RdmaState): boolean =>
  (a.deviceId !== '' && a.deviceId === b.deviceId) || namesOf(a).some((name) => namesOf(b).includes(name));
