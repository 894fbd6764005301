import { existsSync } from 'node:fs';
import { CniError } from '../cni/errors.ts';
import { isObject, type JsonObject, lookUp } from '../cni/json.ts';
import { callGrpc, GrpcError, STATUS } from '../grpc/call.ts';
import { fieldsIn, textOf } from '../grpc/protobuf.ts';

/** Sockets of containerd, k3s and CRI-O. */
const SOCKETS = [
  '/run/containerd/containerd.sock',
  '/run/k3s/containerd/containerd.sock',
  '/run/crio/crio.sock',
] as const;
const SERVICE = '/runtime.v1.RuntimeService';
const TIMEOUT_MS = 10_000;
const NOTHING = Buffer.alloc(0);

/** field numbers of the CRI's api.proto: ListPodSandboxResponse.items, PodSandbox.id, VersionResponse, StatusRequest, StatusResponse.info. */
const ITEMS = 1;
const ID = 1;
const RUNTIME_NAME = 2;
const RUNTIME_VERSION = 3;
const VERBOSE = Buffer.of((1 << 3) | 0, 1);
const INFO = 2;
const KEY = 1;
const VALUE = 2;

export const CRI_OPTION = { cri: { type: 'string', default: '' } } as const;

/** A container runtime that serves a kubelet. */
export interface Runtime {
  readonly socket: string;
  /** `containerd` */
  readonly name: string;
  /** `v2.1.0` */
  readonly version: string;
}

/**
 * The node's container runtimes. One without CRI, such as Docker's containerd, does not count.
 *
 * @param wanted a socket; 'none', or '' for the default sockets
 */
export async function findRuntimes(wanted: string): Promise<readonly Runtime[]> {
  if (wanted === 'none') {
    return [];
  }
  const runtimes: Runtime[] = [];
  for (const socket of socketsFor(wanted)) {
    const answer = await ask(socket, 'Version');
    if (answer !== undefined) {
      const fields = fieldsIn(answer);
      runtimes.push({ socket, name: textOf(fields, RUNTIME_NAME), version: textOf(fields, RUNTIME_VERSION) });
    }
  }
  return runtimes;
}

/**
 * IDs of the sandboxes that all of the node's runtimes have.
 *
 * @param wanted as for `findRuntimes`
 * @returns undefined without a runtime
 */
export async function sandboxesOf(wanted: string): Promise<ReadonlySet<string> | undefined> {
  const runtimes = await findRuntimes(wanted);
  const sandboxes = await Promise.all(runtimes.map(listSandboxes));
  return runtimes.length === 0 ? undefined : new Set(sandboxes.flat());
}

/** IDs of all sandboxes of a runtime, including those that are not ready: it will remove them itself. */
async function listSandboxes({ socket }: Runtime): Promise<readonly string[]> {
  const answer = (await ask(socket, 'ListPodSandbox')) ?? NOTHING;
  return fieldsIn(answer)
    .filter(({ number }) => number === ITEMS)
    .map(({ bytes }) => textOf(fieldsIn(bytes), ID));
}

/** A runtime's plugin and configuration folders; empty where it does not report them. */
export async function foldersOf({ socket }: Runtime): Promise<{
  readonly bins: readonly string[];
  readonly confDirs: readonly string[];
}> {
  const info = fieldsIn((await ask(socket, 'Status', VERBOSE)) ?? NOTHING)
    .filter(({ number }) => number === INFO)
    .map(({ bytes }) => fieldsIn(bytes));
  const config = info.find((entry) => textOf(entry, KEY) === 'config');
  const cni = lookUp(objectIn(config === undefined ? '' : textOf(config, VALUE)), 'cni');
  const textsAt = (...keys: readonly string[]): readonly string[] =>
    keys
      .flatMap((key) => (isObject(cni) ? lookUp(cni, key) : undefined))
      .filter((text): text is string => typeof text === 'string' && text !== '');
  return { bins: textsAt('binDir', 'binDirs'), confDirs: textsAt('confDir') };
}

function objectIn(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

function socketsFor(wanted: string): readonly string[] {
  if (wanted === '') {
    return SOCKETS.filter((path) => existsSync(path));
  }
  const path = wanted.replace(/^unix:\/\//, '');
  if (!existsSync(path)) {
    throw new CniError('internal', `cannot call "${path}": no such socket`);
  }
  return [path];
}

async function ask(socket: string, method: string, request = NOTHING): Promise<Buffer | undefined> {
  try {
    return await callGrpc({ socket, method: `${SERVICE}/${method}`, request, timeoutMs: TIMEOUT_MS });
  } catch (error) {
    if (error instanceof GrpcError && error.status === STATUS.unimplemented) {
      return undefined;
    }
    throw error;
  }
}
