import { messageOf } from '../cni/errors.ts';
import { ApiError, type CollectionPath, type KubeObject } from '../kube/api.ts';
import type { Selection, WatchApi, WatchEvent } from '../kube/watch.ts';
import { backoffMs, quietly, type Repetition } from './repeat.ts';

export interface Watched<T extends KubeObject, V> {
  readonly path: CollectionPath;
  readonly selection?: Selection;
  /** What is kept of an object; undefined: nothing, as if it were not there. */
  keep(object: T): V | undefined;
}

/** What has happened to an object. */
export interface Happened<V> {
  readonly type: 'put' | 'gone';
  /** `namespace/name`, or `name` */
  readonly key: string;
  readonly value: V;
  /** of something that is put anew: what it was */
  readonly before?: V;
}

interface Kept<V> {
  readonly uid: string;
  readonly value: V;
}

/** Between 5 and 10 minutes, as other clients have it: not all watches end at once. */
const watchSeconds = (): number => 300 + Math.floor(Math.random() * 300);

/** What ends before has something between it and the server that does not like watches. */
const LEAST_WATCH_MS = 1_000;

const GONE = 410;

/** After so many failures in a row the list is read anew: whatever the version is, the server does not like it. */
const PATIENCE = 5;

/**
 * What a list holds, kept up to date by a watch. Nothing is missed: what goes while the watch is cut is found out when the
 * list is read again, and an object that was replaced by another of its name is told as gone.
 */
export class Informer<T extends KubeObject, V> {
  private readonly watched: Watched<T, V>;
  private readonly kept = new Map<string, Kept<V>>();
  private version: string | undefined;
  private readonly listener: (happened: Happened<V>) => void;
  private listed = Promise.withResolvers<void>();
  private isUpToDate = false;

  /** @param listener hears of everything, in order; it must not throw */
  constructor(watched: Watched<T, V>, listener: (happened: Happened<V>) => void = () => undefined) {
    this.watched = watched;
    this.listener = listener;
  }

  /** Settles when the list was read for the first time. */
  get synced(): Promise<void> {
    return this.listed.promise;
  }

  /** Whether it hears of changes: not before the list was read, and not while the watch is cut. */
  get isFollowing(): boolean {
    return this.isUpToDate;
  }

  get size(): number {
    return this.kept.size;
  }

  get(key: string): V | undefined {
    return this.kept.get(key)?.value;
  }

  *values(): IterableIterator<V> {
    for (const { value } of this.kept.values()) {
      yield value;
    }
  }

  /** Lists and watches until the signal fires. */
  async run(api: WatchApi, { signal, now, sleep, log }: Repetition): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        if (this.version === undefined || failures >= PATIENCE) {
          this.version = await this.list(api);
          this.listed.resolve();
          this.isUpToDate = true;
          failures = Math.min(failures, 1);
        }
        const begun = now();
        await this.watch(api, () => {
          failures = 0;
          this.isUpToDate = true;
        });
        if (now() - begun >= LEAST_WATCH_MS) {
          continue; // the server has ended it in good order
        }
        failures++;
      } catch (error) {
        this.isUpToDate = false;
        if (signal.aborted) {
          return;
        }
        if (error instanceof ApiError && error.status === GONE) {
          this.version = undefined;
        } else if (failures > 0 || (error as ApiError).status !== undefined) {
          log(`cannot follow ${this.watched.path.resource.plural}: ${messageOf(error)}`); // a single cut is nothing
        }
        failures++;
      }
      await quietly(sleep(backoffMs(failures)), signal);
    }
  }

  private async list(api: WatchApi): Promise<string> {
    const { path, selection = {}, keep } = this.watched;
    const found = new Map<string, Kept<V>>();
    const version = await api.each<T>(path, selection, (object) => {
      const value = keep(object);
      if (value !== undefined) {
        found.set(keyOf(object), { uid: object.metadata.uid ?? '', value });
      }
    });
    for (const key of [...this.kept.keys()].filter((one) => !found.has(one))) {
      this.remove(key);
    }
    for (const [key, kept] of found) {
      this.put(key, kept);
    }
    return version;
  }

  private async watch(api: WatchApi, progress: () => void): Promise<void> {
    const { path, selection = {} } = this.watched;
    const since = { version: this.version ?? '', seconds: watchSeconds() };
    await api.watch<T>(path, selection, since, (event) => {
      this.take(event);
      progress();
    });
  }

  private take({ type, object }: WatchEvent<T>): void {
    this.version = object.metadata.resourceVersion ?? this.version;
    if (type === 'BOOKMARK') {
      return;
    }
    const key = keyOf(object);
    const value = this.watched.keep(object);
    const kept = value === undefined ? undefined : { uid: object.metadata.uid ?? '', value };
    if (type === 'DELETED') {
      this.remove(key, kept); // with what it was at its end
    } else if (kept === undefined) {
      this.remove(key);
    } else {
      this.put(key, kept);
    }
  }

  private put(key: string, kept: Kept<V>): void {
    const before = this.kept.get(key);
    if (before !== undefined && before.uid !== kept.uid) {
      this.remove(key);
    }
    const isAnew = before !== undefined && before.uid === kept.uid;
    this.kept.set(key, kept);
    this.listener({ type: 'put', key, value: kept.value, ...(isAnew ? { before: before.value } : {}) });
  }

  private remove(key: string, last?: Kept<V>): void {
    const before = this.kept.get(key);
    const gone = last ?? before;
    if (gone === undefined) {
      return;
    }
    this.kept.delete(key);
    this.listener({ type: 'gone', key, value: gone.value });
  }
}

export const keyOf = ({ metadata: { namespace, name } }: KubeObject): string =>
  namespace === undefined ? name : `${namespace}/${name}`;
