/**
 * The API by which a shim hands a runtime's calls to a process that serves a node, and by which controllers add
 * interfaces to running pods: paths, bodies and errors as those of the Go plugin's daemon.
 */
import { CniError, CODES, messageOf } from '../../../lib/cni/errors.ts';
import { isObject, type JsonObject, lookUp, parseJson } from '../../../lib/cni/json.ts';
import { formatResult, parseResult } from '../../../lib/cni/result.ts';
import type { Outcome } from '../../../lib/cni/run.ts';
import type { HttpAnswer, HttpRequest } from '../../../lib/cni/service.ts';
import { NEWEST } from '../../../lib/cni/versions.ts';
import type { Env } from '../../../lib/sys/execute.ts';
import { coded, EMPTY, jsonAnswer, NOT_FOUND, refusal, SHUTTING_DOWN, WRONG_METHOD } from './http.ts';
import {
  BadRequest,
  envOf,
  type InterfaceAttributes,
  overlaid,
  printedArgs,
  readRequest,
  type ShimCall,
} from './request.ts';

/** What the handlers are given by the process that serves. */
export interface Serving {
  /** Runs a call of multus, as a program is run. */
  run(env: Env, stdin: Buffer): Promise<Outcome>;
  /** Runs a call of one network, which is not in any configuration of multus. */
  runDelegate(env: Env, config: Buffer, attributes: InterfaceAttributes): Promise<Outcome>;
  /**
   * Asks for the UID of a pod that the runtime has not told.
   *
   * @throws an error when nobody knows it
   */
  podUid(namespace: string, name: string): Promise<string>;
  readonly isShuttingDown: () => boolean;
  /** folders of plugins */
  readonly cniPath: string;
  /** keys of the agent's own configuration, which win over those of a call */
  readonly overlay: JsonObject;
}

/** Answers a request. Never throws. */
export async function answerTo(serving: Serving, { method, path, body }: HttpRequest): Promise<HttpAnswer> {
  const [route = ''] = path.split('?');
  const methods = METHODS.get(route);
  if (methods === undefined) {
    return NOT_FOUND;
  }
  if (!methods.includes(method)) {
    return WRONG_METHOD;
  }
  switch (route) {
    case '/healthz':
      return EMPTY;
    case '/readyz':
      return serving.isShuttingDown() ? SHUTTING_DOWN : EMPTY;
    default:
      return answerToCall(serving, route, body);
  }
}

const METHODS: ReadonlyMap<string, readonly string[]> = new Map([
  ['/cni', ['POST']],
  ['/delegate', ['POST']],
  ['/healthz', ['GET', 'POST']],
  ['/readyz', ['GET', 'POST']],
]);

async function answerToCall(serving: Serving, route: string, body: Buffer): Promise<HttpAnswer> {
  try {
    const call = readRequest(body);
    const env = envOf(call, serving.cniPath, await missingUid(serving, call));
    const outcome =
      route === '/cni'
        ? await serving.run(env, overlaid(call.config, serving.overlay))
        : await serving.runDelegate(env, call.config, call.attributes);
    return answerOf(call, outcome);
  } catch (error) {
    return refusal(messageOf(error));
  }
}

/** A pod that is deleted may not be there any more to be asked for. */
async function missingUid(serving: Serving, { verb, namespace, podName, uid }: ShimCall): Promise<string> {
  if (uid !== '' || podName === '') {
    return '';
  }
  try {
    return await serving.podUid(namespace, podName);
  } catch (error) {
    if (verb === 'DEL') {
      return '';
    }
    throw new BadRequest(`cannot find the UID of pod "${namespace}/${podName}": ${messageOf(error)}`);
  }
}

function answerOf(call: ShimCall, { exitCode, stdout }: Outcome): HttpAnswer {
  if (exitCode !== 0) {
    const error = errorIn(stdout);
    return call.podName === '' && error.code !== CODES.internal ? coded(error) : refusal(saidOf(call, error));
  }
  if (call.verb !== 'ADD') {
    return EMPTY;
  }
  const { version: _, ...result } = parseResult(parseJson(stdout) as JsonObject, '0.1.0'); // it names its version
  return jsonAnswer({ Result: formatResult(result, NEWEST) });
}

/** In words that others match; of calls about pods there are no codes. */
function saidOf(call: ShimCall, { message, details }: CniError): string {
  const about = call.verb === 'ADD' ? `error configuring pod [${call.namespace}/${call.podName}] networking: ` : '';
  return `${printedArgs(call)} ERRORED: ${about}${message}${details ? `; ${details}` : ''}`;
}

/** As a plugin prints it. */
function errorIn(stdout: string): CniError {
  const document = parseJson(stdout);
  const [code, message, details] = isObject(document)
    ? ['code', 'msg', 'details'].map((key) => lookUp(document, key))
    : [];
  return typeof code === 'number' && typeof message === 'string'
    ? new CniError(code, message, typeof details === 'string' ? { details } : {})
    : new CniError('internal', stdout);
}
