import * as z from 'zod/mini';
import { messageOf } from '../../lib/cni/errors.ts';
import { compact } from '../../lib/cni/json.ts';
import { recordName } from '../../lib/cni/record-name.ts';
import { type NetnsIdentity, NetnsIdentityForm } from '../../lib/cni/sandbox.ts';
import { parseForm } from '../../lib/sys/json-form.ts';
import { RecordFolder } from '../../lib/sys/record-folder.ts';

const FORM = '1.0';

/** What names an attachment. */
export interface Owner {
  readonly network: string;
  readonly containerId: string;
  readonly ifName: string;
}

/** Owner of a device, and its namespace. */
export interface RecordedOwner extends Owner {
  /** CNI_NETNS of ADD */
  readonly netns: string;
  readonly namespace: NetnsIdentity | undefined;
}

/** The RDMA device of an attachment, as the Go plugin stores it. What a file lacks is ''. */
export interface RdmaState {
  readonly deviceId: string;
  /** its name on the host */
  readonly hostName: string;
  /** its name in the pod; both plugins leave it as it is */
  readonly containerName: string;
  /** undefined in files of the Go plugin: its file names cannot be split */
  readonly owner: RecordedOwner | undefined;
}

export const nameOf = ({ network, containerId, ifName }: Owner): string => recordName({ network, containerId, ifName });

/** The Go plugin's four keys in its order, then ours under one key, which it ignores. */
export function formatState({ deviceId, hostName, containerName, owner }: RdmaState): string {
  return compact({
    version: FORM,
    deviceID: deviceId,
    sandboxRdmaDevName: hostName,
    containerRdmaDevName: containerName,
    ...(owner === undefined
      ? {}
      : {
          braid: {
            network: owner.network,
            containerID: owner.containerId,
            ifname: owner.ifName,
            netns: owner.netns,
            ...(owner.namespace === undefined ? {} : { namespace: owner.namespace }),
          },
        }),
  });
}

const maybeText = z._default(z.string(), '');
const StateForm = z.object({
  deviceID: maybeText,
  sandboxRdmaDevName: maybeText,
  containerRdmaDevName: maybeText,
  braid: z.optional(
    z.object({
      network: z.string(),
      containerID: z.string(),
      ifname: z.string(),
      netns: z.string(),
      namespace: z.optional(NetnsIdentityForm),
    }),
  ),
});

/** Stands for a file that cannot be read. */
export const EMPTY_STATE: RdmaState = { deviceId: '', hostName: '', containerName: '', owner: undefined };

/** @throws Error saying why it is not a state */
export function parseState(content: string): RdmaState {
  const { deviceID, sandboxRdmaDevName, containerRdmaDevName, braid } = parseForm(StateForm, content);
  return {
    deviceId: deviceID,
    hostName: sandboxRdmaDevName,
    containerName: containerRdmaDevName,
    owner: braid && {
      network: braid.network,
      containerId: braid.containerID,
      ifName: braid.ifname,
      netns: braid.netns,
      namespace: braid.namespace,
    },
  };
}

export type States = RecordFolder<RdmaState>;

export const statesIn = (dataDir: string): States =>
  new RecordFolder(dataDir, { format: formatState, parse: parseState });

/** @returns undefined when there is no such file; the empty state when it cannot be read */
export function readState(states: States, name: string, log: (line: string) => void): RdmaState | undefined {
  try {
    return states.read(name);
  } catch (error) {
    log(messageOf(error));
    return EMPTY_STATE;
  }
}

/** Deletes the state of an attachment. A failure must not block pod deletion. */
export function removeState(states: States, name: string, log: (line: string) => void): void {
  try {
    states.remove(name);
  } catch (error) {
    log(messageOf(error));
  }
}
