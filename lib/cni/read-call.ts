import { ifNameFault } from '../net/if-name.ts';
import type { Env } from '../sys/execute.ts';
import { rememberingTexts } from '../sys/remember.ts';
import type { Attachment, DeletionCall, NetworkCall, PodCall, Verb } from './call.ts';
import { CniError, quoted } from './errors.ts';
import { isObject, type Json, type JsonObject, lookUp } from './json.ts';
import type { Stdin } from './stdin.ts';
import { atLeast, isVersion, VERSIONS, type Version } from './versions.ts';

type CalledVerb = Exclude<Verb, 'VERSION'>;
const VERBS: readonly string[] = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS'] satisfies CalledVerb[];
const isVerb = (text: string): text is CalledVerb => VERBS.includes(text);

const WITH_CONTAINER = ['ADD', 'CHECK', 'DEL'];
const ALL_BUT_VERSION = [...WITH_CONTAINER, 'GC', 'STATUS'];

/** In the order of checks: which of several faults is reported is part of the contract. */
const VARIABLES: readonly {
  readonly name: string;
  readonly verbs: readonly string[];
  readonly fault?: (value: string) => string | undefined;
}[] = [
  { name: 'CNI_CONTAINERID', verbs: WITH_CONTAINER, fault: identifierFault },
  { name: 'CNI_NETNS', verbs: ['ADD', 'CHECK'] },
  { name: 'CNI_IFNAME', verbs: WITH_CONTAINER, fault: ifNameFault },
  { name: 'CNI_PATH', verbs: ALL_BUT_VERSION },
];

/** @throws CniError badEnv, for the first malformed variable, else for all missing ones together; in libcni's words */
export function checkEnvironment(env: Env): void {
  const verb = env['CNI_COMMAND'] ?? '';
  const missing = verb === '' ? ['CNI_COMMAND'] : [];
  for (const { name, verbs, fault } of VARIABLES) {
    const value = env[name] ?? '';
    if (!verbs.includes(verb)) {
      continue;
    }
    if (value === '') {
      missing.push(name);
      continue;
    }
    const found = fault?.(value);
    if (found !== undefined) {
      throw new CniError('badEnv', `cannot use ${name} "${value}": it ${found}`, { details: value });
    }
  }
  if (missing.length > 0) {
    throw new CniError('badEnv', `required env variables [${missing.join(',')}] missing`);
  }
}

/** A call whose configuration is not yet parsed. */
export type UnreadCall = PodCall<JsonObject> | DeletionCall | NetworkCall<JsonObject>;

/**
 * Reads stdin and builds the call, in the contract's order of checks.
 *
 * @param env of any verb except VERSION, which has no call
 * @throws CniError; about verbs and versions in libcni's words
 */
export function readCall(env: Env, stdin: Stdin): UnreadCall {
  const { document } = stdin;
  const network = nameOf(document);
  const verb = env['CNI_COMMAND'] ?? '';
  if (!isVerb(verb)) {
    throw new CniError('badEnv', `unknown CNI_COMMAND: ${verb}`);
  }
  const version = versionOf(document, verb);
  const path = foldersIn(env['CNI_PATH'] ?? '');
  const common = { conf: document, document, stdin, env, version, network, path };
  if (verb === 'GC' || verb === 'STATUS') {
    return { verb, ...common }; // not for an attachment, whatever the environment says
  }
  const [containerId, ifName, args] = [env['CNI_CONTAINERID'] ?? '', env['CNI_IFNAME'] ?? '', env['CNI_ARGS'] ?? ''];
  const netnsPath = env['CNI_NETNS'] ?? '';
  return verb === 'DEL'
    ? { verb, ...common, containerId, ifName, args, netnsPath: netnsPath === '' ? undefined : netnsPath }
    : { verb, ...common, containerId, ifName, args, netnsPath };
}

const foldersIn = rememberingTexts((path): readonly string[] => path.split(':').filter((folder) => folder !== ''));

/**
 * The attachments that a GC call declares valid.
 *
 * @returns undefined without a list, which is not the same as an empty one
 * @throws CniError invalidNetworkConfig when the list is malformed
 */
export function validAttachments(document: JsonObject): readonly Attachment[] | undefined {
  const key = document['cni.dev/valid-attachments'] === undefined ? 'cni.dev/attachments' : 'cni.dev/valid-attachments';
  const value = document[key];
  if (value === undefined || value === null) {
    return undefined;
  }
  if (!Array.isArray(value)) {
    throw new CniError('invalidNetworkConfig', `cannot use "${key}": it is not a list`);
  }
  return (value as readonly Json[]).map((entry) => {
    const [containerID, ifname] = isObject(entry) ? [lookUp(entry, 'containerID'), lookUp(entry, 'ifname')] : [];
    if (typeof containerID !== 'string' || typeof ifname !== 'string') {
      throw new CniError('invalidNetworkConfig', `cannot use "${key}": ${quoted(entry)} is not an attachment`);
    }
    return { containerID, ifname };
  });
}

/** What is wrong with a container ID or network name: a phrase, or undefined. */
export function identifierFault(text: string): string | undefined {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(text)
    ? undefined
    : 'must begin with a letter or digit and hold only letters, digits, "_", "." and "-"';
}

function nameOf(document: JsonObject): string {
  const name = lookUp(document, 'name') ?? '';
  if (typeof name !== 'string') {
    throw new CniError('decodeFailure', `cannot use "name": ${quoted(name)} is not a string`);
  }
  if (name === '') {
    throw new CniError('invalidNetworkConfig', 'cannot use the network configuration: "name" is missing');
  }
  const fault = identifierFault(name);
  if (fault !== undefined) {
    throw new CniError('invalidNetworkConfig', `cannot use "name" "${name}": it ${fault}`, { details: name });
  }
  return name;
}

function versionOf(document: JsonObject, verb: string): Version {
  const text = lookUp(document, 'cniVersion') ?? '';
  if (typeof text !== 'string') {
    throw new CniError('decodeFailure', `cannot use "cniVersion": ${quoted(text)} is not a string`);
  }
  const version = text === '' ? '0.1.0' : text;
  const oldest = verb === 'CHECK' ? '0.4.0' : verb === 'GC' || verb === 'STATUS' ? '1.1.0' : undefined;
  if (oldest !== undefined && !atLeast(version, oldest)) {
    throw new CniError(
      'incompatibleVersion',
      `config version does not allow ${verb}: ${version} is older than ${oldest}`,
    );
  }
  if (!isVersion(version)) {
    throw new CniError('incompatibleVersion', 'incompatible CNI versions', {
      details: `config is ${JSON.stringify(version)}, plugin supports ${JSON.stringify(VERSIONS)}`,
    });
  }
  return version;
}
