import type { PodCall } from '../../../lib/cni/call.ts';
import { conf } from '../../../lib/cni/config.ts';
import { CniError } from '../../../lib/cni/errors.ts';
import type { JsonObject } from '../../../lib/cni/json.ts';
import { addNetwork, checkNetwork, delNetwork, statusNetwork } from '../../../lib/cni/network.ts';
import { definePlugin, type Plugin } from '../../../lib/cni/plugin.ts';
import type { Result } from '../../../lib/cni/result.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import { Undo } from '../../../lib/cni/undo.ts';
import { listLinkNames } from '../../../lib/link/observe.ts';
import { lockForRelease } from '../../../lib/sys/lock.ts';
import { adding, foreseeAll } from '../attacher.ts';
import { type Attachment, attachmentsOf, sharedRuntime } from '../attachments.ts';
import { addedInterface, type PodEvent } from '../cluster/events.ts';
import { ipFault, macFault } from '../cluster/selection.ts';
import type { CommonConf } from '../config.ts';
import { lockCollection, lockContainer } from '../container-lock.ts';
import { type Delegate, planDelegate } from '../delegates.ts';
import { removeDeviceInfoFile } from '../device-info.ts';
import { inject } from '../devices/inject.ts';
import { cniDirOf } from '../places.ts';
import { podOf } from '../runtime-args.ts';
import type { InterfaceAttributes } from './request.ts';

export interface DelegateParts {
  /** of the agent: folders, log */
  readonly common: CommonConf;
  readonly attributes: InterfaceAttributes;
  /** tells people of the pod what happened */
  readonly tell: (event: PodEvent) => void;
}

type Attached = Parameters<typeof sharedRuntime>[0] & { readonly document: JsonObject };

/**
 * A network of a running pod as a plugin: what is on stdin is its configuration. It is attached as one that the pod has
 * asked for, in no scratch file: whoever asks for it deletes it.
 */
export const delegatePlugin = (parts: DelegateParts): Plugin =>
  definePlugin({
    name: 'multus',
    about: '',
    conf: conf({}),
    add: (call, scope) => add(parts, call, scope),
    del: async (call, scope) => {
      const { list, runtime } = attachmentOf(parts, call, call.args);
      using _lock = await lockForRelease(scope.log, () =>
        lockContainer(scope, cniDirOf(parts.common), call.containerId),
      );
      await delNetwork(scope, list, runtime);
      removeDeviceInfoFile(runtime.capabilityArgs);
    },
    check: (call, scope) => {
      const { list, runtime } = attachmentOf(parts, call, call.args);
      return checkNetwork(scope, list, runtime);
    },
    status: (call, scope) => statusNetwork(scope, delegateOf(parts, call).list, sharedRuntime(call, parts.common)),
    gc: async () => {
      throw new CniError('internal', 'cannot clean up for one interface: send GC to /cni'); // it is about all pods
    },
  });

async function add(parts: DelegateParts, call: PodCall<unknown>, scope: Scope): Promise<Result> {
  refuseWrong(parts.attributes);
  const attachment = attachmentOf(parts, call, call.args);
  const { name, list, runtime } = attachment;
  const pod = podOf(call.args);
  using netns = scope.node.openNetns(call.netnsPath);
  const cniDir = cniDirOf(parts.common);
  using _collection = await lockCollection(scope, cniDir, { isShared: true }); // recorded only when it is attached
  using _lock = await lockContainer(scope, cniDir, call.containerId);
  const names = new Set(await listLinkNames(netns.netlink));
  await foreseeAll({ scope, pod, netns, names }, [attachment]);
  await using undo = new Undo(scope);
  undo.push('delete what was attached', (unending) => delNetwork(unending, list, runtime));
  const { result } = await adding(pod, attachment, () => addNetwork(scope, list, runtime));
  undo.commit();
  const event = addedInterface(runtime.ifName, result, name);
  if (event !== undefined) {
    parts.tell(event);
  }
  return result;
}

/** As annotations are judged. */
function refuseWrong({ mac, ips }: InterfaceAttributes): void {
  const fault = mac === '' ? undefined : macFault(mac);
  const [first] = [fault, ...ips.map(ipFault)].filter((one) => one !== undefined);
  if (first !== undefined) {
    throw new CniError('invalidNetworkConfig', `cannot use "interfaceAttributes": ${first}`);
  }
}

function delegateOf({ attributes: { cniArgs } }: DelegateParts, call: Attached): Delegate {
  const { document, bytes } = inject({ document: call.document, bytes: call.stdin.bytes }, '', { cniArgs });
  return planDelegate(document, '', bytes);
}

function attachmentOf(parts: DelegateParts, call: Attached, args: string): Attachment {
  const { common, attributes } = parts;
  const { ips, mac } = attributes;
  const delegate = delegateOf(parts, call);
  const requests = { ...(ips.length === 0 ? {} : { ips }), ...(mac === '' ? {} : { mac }) };
  const shared = sharedRuntime(call, common);
  const facts = { pod: podOf(args), cniArgs: args, supplied: undefined, isAdd: call.verb === 'ADD' };
  // the first of a pod's networks gets no capabilities that the pod asks for: this one is never the first
  const [, attachment] = attachmentsOf(
    [delegate, { ...delegate, requests: { ...requests, ifName: shared.ifName } }],
    shared,
    facts,
  );
  return attachment as Attachment;
}
