/** What a plugin does in an agent besides the calls of launchers: HTTP on a socket of its own, a loop for its node. */
import type { PartOption } from '../controller/part.ts';
import type { Env } from '../sys/execute.ts';
import type { Plugin } from './plugin.ts';
import type { Invocation, Outcome } from './run.ts';
import type { Scope } from './scope.ts';

export interface HttpRequest {
  readonly method: string;
  /** with its query */
  readonly path: string;
  readonly body: Buffer;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What the agent gives a service. */
export interface ServiceHost {
  /** of the agent */
  readonly env: Env;
  /** by name; undefined: not given */
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  /** what the service itself asks for goes through it: of the agent's node, ended by nothing */
  readonly scope: Scope;
  readonly isClosing: () => boolean;
  /**
   * Runs a call of a plugin among all others: in order with those of its sandbox, in one of the agent's places.
   *
   * @param gone fires when nobody waits for the outcome any more: the call undoes what it has done
   * @throws its reason, when the call has not begun by then
   */
  run(plugin: Plugin, invocation: Invocation, gone: AbortSignal): Promise<Outcome>;
}

/** Where a service is called. */
export interface ServiceDoor {
  /** path of its socket, in a folder that only root may enter */
  readonly socket: string;
  /** callers that are attended to at the same time; undefined: as many as launchers */
  readonly mostCallers?: number | undefined;
  /**
   * Answers a request of root. Never throws.
   *
   * @param gone see `ServiceHost.run`
   */
  answer(request: HttpRequest, gone: AbortSignal): Promise<HttpAnswer>;
}

/** A service whose options were read. */
export interface OpenService {
  /** undefined: it is not called */
  readonly door?: ServiceDoor;
  /** What it does by itself, from when it can be called until the signal fires. Never rejects. */
  keep?(signal: AbortSignal): Promise<void>;
}

/** A service as a plugin brings it. */
export interface AgentService {
  /** options of `braid agent` */
  readonly options: readonly PartOption[];
  /**
   * @returns undefined when the options do not ask for it
   * @throws Error when it cannot be served so
   */
  open(host: ServiceHost): Promise<OpenService | undefined>;
}
