import type { AttachmentCall, Call, Verb } from './call.ts';
import {
  type Answer,
  callDelegate,
  type Delegation,
  delegateTimeoutMs,
  foreseeDelegate,
  ownDelegate,
  runsInProcess,
} from './delegate.ts';
import { CniError, messageOf } from './errors.ts';
import { hostLocalAddresses } from './host-local.ts';
import { type JsonObject, lookUp, textIn } from './json.ts';
import { parseResult, type Result } from './result.ts';
import type { Scope } from './scope.ts';
import type { Undo } from './undo.ts';

/** `ipam.type` of a configuration; '' when the link gets no addresses. */
export const ipamType = (document: JsonObject): string => textIn(lookUp(document, 'ipam'), 'type');

/**
 * Gets addresses from the IPAM plugin. They are released when a later step fails, and also when the plugin itself
 * fails, since it may have reserved some.
 *
 * @param takeAway takes away the interface with the addresses: they are released only after that
 * @throws CniError with the IPAM plugin's code
 */
export async function ipamAdd(
  call: Call<unknown>,
  scope: Scope,
  undo: Undo,
  takeAway: (scope: Scope) => void | Promise<void> = () => undefined,
): Promise<Result> {
  undo.push('release the addresses', async (unending) => {
    await takeAway(unending);
    await ipamDel(call, unending);
  });
  const result = readResult(await ipamCall(call, 'ADD', scope), call);
  if (result.ips.length === 0) {
    throw new CniError('internal', `cannot use IPAM plugin "${ipamType(call.document)}": it returned no IP address`);
  }
  return result;
}

/** @throws CniError with the IPAM plugin's code */
export async function ipamDel(call: Call<unknown>, scope: Scope): Promise<void> {
  await ipamCall(call, 'DEL', scope);
}

/** Forwards CHECK, STATUS or GC to the IPAM plugin, if one is configured. */
export async function ipamForward(call: Call<unknown>, scope: Scope): Promise<void> {
  if (ipamType(call.document) !== '') {
    await ipamCall(call, call.verb, scope);
  }
}

/**
 * Asks the IPAM plugin, if one is configured, what it would refuse.
 *
 * @throws CniError as the IPAM plugin would
 */
export async function ipamForesee(call: Call<unknown>, scope: Scope): Promise<void> {
  if (ipamType(call.document) !== '') {
    await foreseeDelegate(scope, delegationOf(call, 'ADD'));
  }
}

/** Does the IPAM plugin run inside this process, so that calls which wait for it can wait together? */
export function ipamRunsInProcess(call: Call<unknown>, scope: Scope): boolean {
  return runsInProcess(scope, ipamType(call.document), call.path, call.env);
}

/**
 * The addresses that are kept for an attachment, without their prefix lengths.
 *
 * @returns undefined when the IPAM plugin has records that only itself can read
 */
export async function reservedFor(call: AttachmentCall<unknown>, scope: Scope): Promise<readonly string[] | undefined> {
  const { containerId, ifName, document, network } = call;
  const type = ipamType(document);
  if (type === '' || type === 'static') {
    return []; // nothing that somebody else could get
  }
  if (type === 'host-local') {
    return hostLocalAddresses({ dataDir: textIn(lookUp(document, 'ipam'), 'dataDir'), network, containerId, ifName });
  }
  const plugin = await ownDelegate(scope, { type, path: call.path });
  const records = await plugin?.records?.(scope, [document]);
  return records
    ?.filter((record) => record.containerId === containerId && record.ifName === ifName)
    .flatMap(({ addresses }) => addresses.map((address) => address.replace(/\/\d+$/, '')));
}

function ipamCall(call: Call<unknown>, verb: Verb, scope: Scope): Promise<Answer> {
  return callDelegate(scope, delegationOf(call, verb));
}

const delegationOf = (call: Call<unknown>, verb: Verb): Delegation => ({
  type: ipamType(call.document),
  path: call.path,
  env: { ...call.env, CNI_COMMAND: verb },
  stdin: call.stdin,
  timeoutMs: delegateTimeoutMs(call.document),
});

function readResult(answer: Answer, call: Call<unknown>): Result {
  try {
    return parseResult(answer.result(), call.version);
  } catch (error) {
    const why = `cannot use IPAM plugin "${ipamType(call.document)}": ${messageOf(error)}`;
    throw new CniError('internal', why, { cause: error }); // no fault of the configuration, whatever its code
  }
}
