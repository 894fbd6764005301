/** What long-lived roles ask of an API server beyond the verbs: lists in pages, and what changes. */
import type { ReadAccess } from './access.ts';
import { ApiError, type CollectionPath, type KubeApi, type KubeObject, type ListOptions } from './api.ts';
import { ask, type Question } from './ask.ts';
import { type Ask, type ClientOptions, CONNECTIONS, PAGE_SIZE, type Page, TIMEOUT_MS, verbs } from './client.ts';
import type { BodySink } from './http.ts';
import { pagePath, textOf, watchPath } from './paths.ts';
import { openSessions } from './sessions.ts';

export interface Selection extends ListOptions {
  /** `metadata` of each object alone: a pod is 10 KB, and its metadata one or two */
  readonly isMetadataOnly?: boolean;
  /** objects in a page */
  readonly pageSize?: number;
}

/** A change of an object; a bookmark has nothing of it but a newer version of the list. */
export interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: T;
}

/** All methods throw ApiError, and the reason of the signal when the call ends first. */
export interface WatchApi extends KubeApi {
  /**
   * The objects of a list, page by page, so that the list is never in memory as a whole.
   *
   * @param visit gets each object of a page; what it keeps is its own concern
   * @returns the version of the list, for `watch`
   * @throws ApiError with status 410 when the server has forgotten the list meanwhile
   */
  each<T extends KubeObject>(path: CollectionPath, selection: Selection, visit: (object: T) => void): Promise<string>;
  /**
   * Changes since a version of the list, as they come.
   *
   * @param seconds how long; the server ends it then
   * @throws ApiError: with status 410 when the version is too old, without one when the connection is cut
   */
  watch<T extends KubeObject>(
    path: CollectionPath,
    selection: Selection,
    since: { readonly version: string; readonly seconds: number },
    visit: (event: WatchEvent<T>) => void,
  ): Promise<void>;
}

/** A server and the connections to it; each watch has one to itself. */
export interface WatchClient extends Disposable {
  api(signal?: AbortSignal): WatchApi;
}

/** What a server needs to end a watch that it was asked to end. */
const GRACE_MS = 15_000;

const metadataAs = (kind: string): string => `application/json;as=${kind};g=meta.k8s.io;v=v1`;

/**
 * Opens a client, which connects with its first request.
 *
 * @throws what `openClient` throws
 */
export async function openWatchClient(readAccess: ReadAccess, options: ClientOptions): Promise<WatchClient> {
  const { connections = CONNECTIONS, timeoutMs = TIMEOUT_MS, pageSize = PAGE_SIZE } = options;
  const sessions = await openSessions(readAccess, connections, options.connector);
  return {
    api: (signal) => {
      const answerTo = (question: Question) => ask(sessions, question, { timeoutMs, signal });
      return {
        ...verbs(answerTo, pageSize),
        namespace: sessions.current.access.namespace ?? options.namespace,
        each: (path, selection, visit) => each(answerTo, path, { pageSize, ...selection }, visit),
        watch: async (path, selection, { version, seconds }, visit) => {
          await answerTo({
            method: 'GET',
            path: watchPath(path, selection, version, seconds),
            action: `watch ${textOf(path)}`,
            ...(selection.isMetadataOnly ? { accept: metadataAs('PartialObjectMetadata') } : {}),
            streamed: { lastsMs: seconds * 1000 + GRACE_MS, sink: eventsTo(visit as Visit, textOf(path)) },
          });
        },
      };
    },
    [Symbol.dispose]: () => sessions[Symbol.dispose](),
  };
}

type Visit = (event: WatchEvent<KubeObject>) => void;

async function each<T extends KubeObject>(
  answerTo: Ask,
  path: CollectionPath,
  { pageSize, isMetadataOnly = false, ...options }: Selection & { readonly pageSize: number },
  visit: (object: T) => void,
): Promise<string> {
  let next: string | undefined;
  for (;;) {
    const page = (await answerTo({
      method: 'GET',
      path: pagePath(path, options, pageSize, next),
      action: `list ${textOf(path)}`,
      ...(isMetadataOnly ? { accept: metadataAs('PartialObjectMetadataList') } : {}),
    })) as Page<T>;
    for (const object of page.items ?? []) {
      visit(object);
    }
    next = page.metadata?.continue || undefined; // '' on the last page
    if (next === undefined) {
      return page.metadata?.resourceVersion ?? '';
    }
  }
}

const LINE_END = 0x0a;
const UNPARSABLE = 'the answer is not that of an API server';

/** Cuts a body into its lines, of which each is an event. */
function eventsTo(visit: Visit, what: string): BodySink {
  let rest: Buffer = Buffer.alloc(0);
  return (bytes) => {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    for (let end = rest.indexOf(LINE_END); end >= 0; end = rest.indexOf(LINE_END)) {
      const line = rest.toString('utf8', 0, end);
      rest = rest.subarray(end + 1);
      visit(eventIn(line, what));
    }
  };
}

/** @throws ApiError for what is no event, and for the error that a server sends instead of one */
function eventIn(line: string, what: string): WatchEvent<KubeObject> {
  let event: { readonly type?: unknown; readonly object?: { readonly message?: string; readonly code?: number } };
  try {
    event = JSON.parse(line) as typeof event;
  } catch (cause) {
    throw new ApiError(`cannot watch ${what}: ${UNPARSABLE}`, { cause });
  }
  const { type, object } = event;
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
    case 'BOOKMARK':
      if (object !== undefined && 'metadata' in object) {
        return { type, object: object as unknown as KubeObject };
      }
      break;
    case 'ERROR':
      throw new ApiError(`cannot watch ${what}: ${object?.message ?? UNPARSABLE}`, { status: object?.code });
    default:
      break;
  }
  throw new ApiError(`cannot watch ${what}: ${UNPARSABLE}`, {});
}
