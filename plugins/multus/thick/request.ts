import { messageOf, quoted } from '../../../lib/cni/errors.ts';
import { compact, isObject, type Json, type JsonObject, lookUp, parseJson } from '../../../lib/cni/json.ts';
import type { Env } from '../../../lib/sys/execute.ts';

/** What a shim sends of a call of the runtime. */
export interface ShimCall {
  readonly verb: string;
  readonly containerId: string;
  readonly netns: string;
  readonly ifName: string;
  readonly args: string;
  /** of the pod, as the arguments name it; '' in calls that are about no pod */
  readonly namespace: string;
  readonly podName: string;
  readonly uid: string;
  /** the configuration as sent */
  readonly config: Buffer;
  readonly attributes: InterfaceAttributes;
}

/** What is wanted of an interface that is added to a running pod: as in an annotation. */
export interface InterfaceAttributes {
  readonly ips: readonly string[];
  readonly mac: string;
  readonly cniArgs: JsonObject | undefined;
}

/** The client's fault; its message is the answer. */
export class BadRequest extends Error {
  override readonly name = 'BadRequest';
}

const ABOUT_PODS = ['ADD', 'DEL', 'CHECK'];
const ABOUT_NETWORKS = ['STATUS', 'GC'];
const DEFAULT_IF_NAME = 'eth0';

/**
 * Reads the body of a request: `{"env":{…},"config":"<base64>","interfaceAttributes":{…}}`. Of the environment only the
 * variables of the contract are looked at.
 *
 * @throws BadRequest
 */
export function readRequest(body: Buffer): ShimCall {
  const document = objectIn(body.toString('utf8'), 'the request');
  const env = envIn(document);
  const verb = env['CNI_COMMAND'] ?? '';
  if (![...ABOUT_PODS, ...ABOUT_NETWORKS].includes(verb)) {
    throw new BadRequest(verb === '' ? 'CNI_COMMAND is missing' : `CNI_COMMAND ${JSON.stringify(verb)} is not known`);
  }
  const rest = { config: configIn(document), attributes: attributesIn(document) };
  return ABOUT_NETWORKS.includes(verb) ? { ...NO_POD, verb, ...rest } : { ...podIn(env), verb, ...rest };
}

/** Which pod, and where. */
type Place = Omit<ShimCall, 'verb' | 'config' | 'attributes'>;

/** In calls about networks nothing but the command is looked at. */
const NO_POD: Place = { containerId: '', netns: '', ifName: '', args: '', namespace: '', podName: '', uid: '' };

function podIn(env: ReturnType<typeof envIn>): Place {
  const [containerId, netns, given] = ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_ARGS'].map((name) => {
    const value = env[name];
    if (value === undefined) {
      throw new BadRequest(`${name} is missing`);
    }
    return value;
  }) as [string, string, string];
  const args = argsIn(given);
  return {
    containerId,
    netns,
    ifName: env['CNI_IFNAME'] || DEFAULT_IF_NAME,
    args: withInfraContainer(given, args, env['K8S_POD_INFRA_CONTAINER_ID'] ?? ''),
    namespace: args.get('K8S_POD_NAMESPACE') ?? '',
    podName: args.get('K8S_POD_NAME') ?? '',
    uid: args.get('K8S_POD_UID') ?? '',
  };
}

/** As the daemon prints them in messages, which others match. */
export const printedArgs = ({ containerId, netns, ifName, args }: ShimCall): string =>
  `ContainerID:${JSON.stringify(containerId)} Netns:${JSON.stringify(netns)} IfName:${JSON.stringify(ifName)} ` +
  `Args:${JSON.stringify(args)} Path:""`;

/**
 * The environment in which the call is run.
 *
 * @param cniPath of this node: shims do not say where plugins are
 * @param uid of the pod, where the arguments do not tell it
 */
export function envOf({ verb, containerId, netns, ifName, args }: ShimCall, cniPath: string, uid: string): Env {
  const common = { CNI_COMMAND: verb, CNI_PATH: cniPath };
  if (ABOUT_NETWORKS.includes(verb)) {
    return common;
  }
  const ignoring = /(^|;)IgnoreUnknown=/.test(args) ? args : `IgnoreUnknown=true;${args}`;
  return {
    ...common,
    CNI_CONTAINERID: containerId,
    CNI_NETNS: netns,
    CNI_IFNAME: ifName,
    CNI_ARGS: uid === '' ? ignoring : `${ignoring};K8S_POD_UID=${uid}`,
  };
}

/**
 * A configuration with the keys of the agent's own over it.
 *
 * @throws BadRequest when it is not an object
 */
export const overlaid = (config: Buffer, overlay: JsonObject): Buffer =>
  Object.keys(overlay).length === 0
    ? config
    : Buffer.from(compact({ ...objectIn(config.toString('utf8'), 'the configuration'), ...overlay }));

function objectIn(text: string, what: string): JsonObject {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    throw new BadRequest(`cannot read ${what}: ${messageOf(error).replaceAll('\n', ' ')}`);
  }
  if (!isObject(value)) {
    throw new BadRequest(`cannot read ${what}: it is not an object`);
  }
  return value;
}

function envIn(document: JsonObject): Readonly<Record<string, string | undefined>> {
  const env = lookUp(document, 'env') ?? {};
  if (!isObject(env)) {
    throw wrong('env', env, 'is not an object');
  }
  const strange = Object.entries(env).find(([, value]) => typeof value !== 'string');
  if (strange !== undefined) {
    throw wrong(`env.${strange[0]}`, strange[1] ?? null, 'is not a string');
  }
  return env as Readonly<Record<string, string>>;
}

/** Strictly pairs; those that name the pod are needed. */
function argsIn(text: string): ReadonlyMap<string, string> {
  const pairs = (text === '' ? [] : text.split(';')).map((pair) => pair.split('='));
  const odd = pairs.find((pair) => pair.length !== 2);
  if (odd !== undefined) {
    throw new BadRequest(`cannot use CNI_ARGS: invalid pair ${quoted(odd.join('='))}`);
  }
  const args = new Map(pairs as [string, string][]);
  const missing = ['K8S_POD_NAMESPACE', 'K8S_POD_NAME'].find((key) => (args.get(key) ?? '') === '');
  if (missing !== undefined) {
    throw new BadRequest(`cannot use CNI_ARGS: ${missing} is missing`);
  }
  return args;
}

/** Shims of the Go plugin send it as a variable. */
function withInfraContainer(text: string, args: ReadonlyMap<string, string>, id: string): string {
  const key = 'K8S_POD_INFRA_CONTAINER_ID';
  return id === '' || args.has(key) ? text : [...(text === '' ? [] : [text]), `${key}=${id}`].join(';');
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function configIn(document: JsonObject): Buffer {
  const config = lookUp(document, 'config') ?? '';
  const text = typeof config === 'string' ? config.replaceAll(/[\r\n]/g, '') : undefined; // encoders may break lines
  if (text === undefined || !BASE64.test(text)) {
    throw wrong('config', config, 'is not base64');
  }
  return Buffer.from(text, 'base64');
}

function attributesIn(document: JsonObject): InterfaceAttributes {
  const key = 'interfaceAttributes';
  const attributes = lookUp(document, key) ?? {};
  if (!isObject(attributes)) {
    throw wrong(key, attributes, 'is not an object');
  }
  const ips = lookUp(attributes, 'ips') ?? [];
  if (!Array.isArray(ips) || ips.some((ip) => typeof ip !== 'string')) {
    throw wrong(`${key}.ips`, ips, 'is not a list of strings');
  }
  const mac = lookUp(attributes, 'mac') ?? '';
  if (typeof mac !== 'string') {
    throw wrong(`${key}.mac`, mac, 'is not a string');
  }
  const cniArgs = lookUp(attributes, 'cni-args') ?? undefined;
  if (cniArgs !== undefined && !isObject(cniArgs)) {
    throw wrong(`${key}.cni-args`, cniArgs, 'is not an object');
  }
  return { ips: ips as readonly string[], mac, cniArgs };
}

const wrong = (key: string, value: Json, why: string): BadRequest =>
  new BadRequest(`cannot read the request: ${JSON.stringify(key)}: ${quoted(value)} ${why}`);
