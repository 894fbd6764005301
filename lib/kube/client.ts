import { type Observer, observed } from '../node/observer.ts';
import type { ReadAccess } from './access.ts';
import {
  ApiError,
  type CollectionPath,
  type DeletePreconditions,
  type KubeApi,
  type KubeObject,
  type ListOptions,
  type ObjectPath,
  type Patch,
  type Propagation,
} from './api.ts';
import { ask, type Question } from './ask.ts';
import { collectionPath, objectPath, pagePath, patchPath, textOf } from './paths.ts';
import { openSessions } from './sessions.ts';
import type { Connector } from './wires.ts';

export interface ClientOptions {
  /** where the context names no namespace */
  readonly namespace: string;
  /** at once to the server; requests beyond them wait */
  readonly connections?: number;
  /** for a request, with all its repetitions */
  readonly timeoutMs?: number;
  /** objects in a page of a list */
  readonly pageSize?: number;
  /** hears of each request */
  readonly observe?: Observer | undefined;
  /** undefined: through the network */
  readonly connector?: Connector;
}

/** A server and the connections to it, which calls with different signals share. */
export interface KubeClient extends Disposable {
  /**
   * @param signal ends waiting requests with its reason
   * @param wishes in place of what the client was opened with
   */
  api(signal?: AbortSignal, wishes?: Wishes): KubeApi;
}

/** What each of those who share a client may want otherwise. */
export type Wishes = Partial<Pick<ClientOptions, 'namespace' | 'timeoutMs'>>;

export const CONNECTIONS = 4;
export const TIMEOUT_MS = 5_000;
export const PAGE_SIZE = 500;

/** Metadata alone; a server that does not know the form sends the whole object. */
const BRIEF = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json';

/** A list whose pages expire that often changes faster than it can be read. */
const LIST_ATTEMPTS = 3;
const GONE = 410;

const JSON_TYPE = 'application/json';
const PATCH_TYPES: Readonly<Record<Patch['type'], string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  apply: 'application/apply-patch+yaml', // JSON is YAML
};

/**
 * Opens a client, which connects with its first request.
 *
 * @param readAccess is asked once more when the server does not accept the credentials
 * @throws CniError when the credentials cannot be read; ApiError when a certificate or a key is none
 */
export async function openClient(readAccess: ReadAccess, options: ClientOptions): Promise<KubeClient> {
  const { connections = CONNECTIONS, timeoutMs = TIMEOUT_MS, pageSize = PAGE_SIZE } = options;
  const sessions = await openSessions(readAccess, connections, options.connector);
  return {
    api: (signal, { timeoutMs: ownMs = timeoutMs, namespace = options.namespace } = {}) => ({
      ...verbs(
        (question) =>
          observed(options.observe, `API ${question.method}`, () =>
            ask(sessions, question, { timeoutMs: ownMs, signal }),
          ),
        pageSize,
      ),
      namespace: sessions.current.access.namespace ?? namespace,
    }),
    [Symbol.dispose]: () => sessions[Symbol.dispose](),
  };
}

export type Ask = (question: Question) => Promise<object>;

/** The verbs of a client whose questions are answered by `answerTo`. */
export function verbs(answerTo: Ask, pageSize: number): Omit<KubeApi, 'namespace'> {
  return {
    get: async <T extends KubeObject>(path: ObjectPath) =>
      (await answerTo({ method: 'GET', path: objectPath(path), action: `get ${textOf(path)}` })) as T,
    list: <T extends KubeObject>(path: CollectionPath, selection: ListOptions = {}) =>
      unexpired(() => everyPage<T>(answerTo, path, selection, pageSize)),
    create: async <T extends KubeObject>(path: CollectionPath | ObjectPath, object: T) =>
      (await answerTo({
        method: 'POST',
        path: 'name' in path ? objectPath(path) : collectionPath(path),
        body: JSON.stringify(object),
        contentType: JSON_TYPE,
        action: `create ${textOf({ ...path, name: object.metadata.name })}`,
      })) as T,
    patch: async <T extends KubeObject>(path: ObjectPath, patch: Patch) =>
      (await answerTo({
        method: 'PATCH',
        path: patchPath(path, patch),
        body: JSON.stringify(patch.body),
        contentType: PATCH_TYPES[patch.type],
        ...(patch.isAnswerBrief === true ? { accept: BRIEF } : {}),
        action: `patch ${textOf(path)}`,
      })) as T,
    replace: async <T extends KubeObject>(path: ObjectPath, object: T) =>
      (await answerTo({
        method: 'PUT',
        path: objectPath(path),
        body: JSON.stringify(object),
        contentType: JSON_TYPE,
        action: `replace ${textOf(path)}`,
      })) as T,
    delete: async (path: ObjectPath, preconditions?: DeletePreconditions, propagationPolicy?: Propagation) => {
      await answerTo({
        method: 'DELETE',
        path: objectPath(path),
        body: JSON.stringify({ apiVersion: 'v1', kind: 'DeleteOptions', preconditions, propagationPolicy }),
        contentType: JSON_TYPE,
        action: `delete ${textOf(path)}`,
      });
    },
  };
}

/** A part of a list, as the server sends it. */
export interface Page<T> {
  readonly items?: readonly T[];
  readonly metadata?: { readonly continue?: string; readonly resourceVersion?: string };
}

async function everyPage<T>(
  answerTo: Ask,
  path: CollectionPath,
  selection: ListOptions,
  pageSize: number,
): Promise<readonly T[]> {
  const found: T[] = [];
  let next: string | undefined;
  do {
    const page = (await answerTo({
      method: 'GET',
      path: pagePath(path, selection, pageSize, next),
      action: `list ${textOf(path)}`,
    })) as Page<T>;
    found.push(...(page.items ?? []));
    next = page.metadata?.continue || undefined; // '' on the last page
  } while (next !== undefined);
  return found;
}

/** The server forgets the state that the pages are of after some minutes: then from the beginning. */
async function unexpired<T>(list: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await list();
    } catch (error) {
      if (!(error instanceof ApiError && error.status === GONE) || attempt === LIST_ATTEMPTS) {
        throw error;
      }
    }
  }
}
