/** What is asked of a Kubernetes API server, whoever asks it: the client of a plugin's call, a fake in a unit test. */

/** A kind of objects: group '' is the core group. */
export interface Resource {
  readonly group: string;
  readonly version: string;
  /** plural, lower case: `ippools` */
  readonly plural: string;
}

/** All objects of a kind in a namespace; undefined for all namespaces, or for a kind that has none. */
export interface CollectionPath {
  readonly resource: Resource;
  readonly namespace: string | undefined;
}

export interface ObjectPath extends CollectionPath {
  readonly name: string;
  /** `status` */
  readonly subresource?: string;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** who has written which part of it, and when */
  readonly managedFields?: readonly { readonly manager?: string; readonly time?: string }[];
}

export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

/** RFC 6902. The values of `test` may be absent: that tests for null, which is also what an absent member is. */
export type JsonPatch = readonly {
  readonly op: 'add' | 'remove' | 'replace' | 'test';
  readonly path: string;
  readonly value?: unknown;
}[];

export type Patch = (
  | { readonly type: 'json'; readonly body: JsonPatch }
  | { readonly type: 'merge'; readonly body: object }
  | { readonly type: 'apply'; readonly body: object; readonly fieldManager: string; readonly force?: boolean }
) & {
  /** Nobody looks at the answer but at its metadata, so the server need not send a large object. */
  readonly isAnswerBrief?: boolean;
};

/** What must still be so when an object is deleted. */
export interface DeletePreconditions {
  readonly uid?: string;
  readonly resourceVersion?: string;
}

/** `Foreground`: the object goes after all that belongs to it. */
export type Propagation = 'Foreground' | 'Background' | 'Orphan';

export interface ListOptions {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

/**
 * Requests to one API server.
 *
 * All of them throw ApiError, and the reason of the signal when the call ends first.
 */
export interface KubeApi {
  /** of the kubeconfig's context */
  readonly namespace: string;
  get<T extends KubeObject>(path: ObjectPath): Promise<T>;
  /** Every object; pages are fetched one after the other. */
  list<T extends KubeObject>(path: CollectionPath, options?: ListOptions): Promise<readonly T[]>;
  /** @param path of the collection, or of what an object can be asked to make, such as a token */
  create<T extends KubeObject>(path: CollectionPath | ObjectPath, object: T): Promise<T>;
  patch<T extends KubeObject>(path: ObjectPath, patch: Patch): Promise<T>;
  /** Writes a whole object, as it was read but for what changes: its resourceVersion must still be the server's. */
  replace<T extends KubeObject>(path: ObjectPath, object: T): Promise<T>;
  /** @param propagation of what belongs to the object; default: the one of its kind */
  delete(path: ObjectPath, preconditions?: DeletePreconditions, propagation?: Propagation): Promise<void>;
}

/** What the server says, or that it says nothing. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** of HTTP; undefined when no answer came */
  readonly status: number | undefined;
  /** `AlreadyExists`, `NotFound`, `Conflict`, …; '' when the server gives none */
  readonly reason: string;
  /** the request may have been carried out all the same: a connection that broke, 500, 504 */
  readonly isOutcomeUnknown: boolean;
  /** how long the server asks to wait before the next request */
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    {
      status,
      reason = '',
      isOutcomeUnknown = false,
      retryAfterMs,
      cause,
    }: {
      readonly status?: number | undefined;
      readonly reason?: string;
      readonly isOutcomeUnknown?: boolean;
      readonly retryAfterMs?: number | undefined;
      readonly cause?: unknown;
    },
  ) {
    super(message, { cause });
    this.status = status;
    this.reason = reason;
    this.isOutcomeUnknown = isOutcomeUnknown;
    this.retryAfterMs = retryAfterMs;
  }
}
