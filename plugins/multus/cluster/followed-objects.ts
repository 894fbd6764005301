import { Informer, type Watched } from '../../../lib/controller/informer.ts';
import type { KubeObject } from '../../../lib/kube/api.ts';
import { accessOf, type Reached } from '../../../lib/kube/lazy-client.ts';
import { openWatchClient, type Selection } from '../../../lib/kube/watch.ts';
import { clockOf } from '../../../lib/sys/clock.ts';
import type { Holding } from '../../../lib/sys/shared.ts';

/** A page of objects takes its time. */
const TIMEOUT_MS = 30_000;

const ENTRIES = 'What is kept of the cluster, so that calls need not ask.';
const LOOKUPS = 'Looks of calls into what is kept, by whether it was there; the others ask.';

/** Objects of a kind, by the server that is meant. It begins to follow those of a server with the first question. */
export class FollowedObjects<T extends KubeObject> implements Disposable {
  private readonly cache: string;
  private readonly watched: Pick<Watched<T, T>, 'path' | 'keep'>;
  private readonly informers = new Map<string, Informer<T, T>>();
  private readonly ending = new AbortController();
  private readonly asked = { yes: 0, no: 0 };

  constructor(cache: string, watched: Pick<Watched<T, T>, 'path' | 'keep'>) {
    this.cache = cache;
    this.watched = watched;
  }

  holdings(): readonly Holding[] {
    const entries = [...this.informers.values()].reduce((sum, { size }) => sum + size, 0);
    const { cache } = this;
    return [
      { name: 'braid_cache_entries', help: ENTRIES, type: 'gauge', labels: { cache }, value: entries },
      ...Object.entries(this.asked).map(
        ([found, value]): Holding => ({
          name: 'braid_cache_lookups_total',
          help: LOOKUPS,
          type: 'counter',
          labels: { cache, found },
          value,
        }),
      ),
    ];
  }

  [Symbol.dispose](): void {
    this.ending.abort(new Error('the process ends'));
  }

  /** Notes whether a call has found what it looked for. */
  counted(found: T | undefined): T | undefined {
    this.asked[found === undefined ? 'no' : 'yes']++;
    return found;
  }

  /**
   * @param selection which objects of the server are followed
   * @returns undefined also where what is there is not known, or out of date
   */
  lookUp(reached: Reached, path: string, selection: Selection = {}): T | undefined {
    const key = `${serverOf(reached)} ${JSON.stringify(selection)}`;
    const known = this.informers.get(key);
    if (known !== undefined) {
      return known.isFollowing ? known.get(path) : undefined;
    }
    const informer = new Informer<T, T>({ ...this.watched, selection });
    this.informers.set(key, informer);
    void this.follow(informer, reached).finally(() => this.informers.delete(key));
    return undefined;
  }

  /** Where that is not allowed, it is tried now and then, and calls ask. */
  private async follow(informer: Informer<T, T>, reached: Reached): Promise<void> {
    const { signal } = this.ending;
    try {
      using client = await openWatchClient(accessOf(reached), {
        namespace: 'default',
        connections: 1,
        timeoutMs: TIMEOUT_MS,
      });
      await informer.run(client.api(signal), { signal, log: () => undefined, ...clockOf(signal) });
    } catch {
      // credentials that cannot be used: the call that asks says so, and the next one tries this again
    }
  }
}

/** Tells servers apart, and as whom they are asked. */
export const serverOf = ({ inCluster, kubeconfig, namespace }: Reached): string =>
  JSON.stringify([inCluster === undefined ? kubeconfig : '', namespace]);
