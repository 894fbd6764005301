import { ApiError, type CollectionPath, type KubeObject, type ObjectPath, type Patch } from '../../../lib/kube/api.ts';
import type { Selection, WatchApi, WatchEvent } from '../../../lib/kube/watch.ts';
import { FakeKube } from './fake-kube.ts';

type Visit = (event: WatchEvent<never>) => void;

interface Watcher {
  readonly plural: string;
  readonly visit: Visit;
  end(error?: Error): void;
}

/** A server in memory with watches, which tests feed and cut. */
export class FakeWatch extends FakeKube implements WatchApi {
  private readonly watchers = new Set<Watcher>();
  /** do watches hear of what is written and put there? else tests tell them */
  isAnnouncing = false;
  /** versions that watches began at, by kind */
  readonly begun: string[] = [];

  async each<T extends KubeObject>(path: CollectionPath, _: Selection, visit: (object: T) => void): Promise<string> {
    const objects = await this.list<T>(path);
    objects.forEach(visit);
    return 'listed';
  }

  watch<T extends KubeObject>(
    { resource: { plural } }: CollectionPath,
    _: Selection,
    { version }: { readonly version: string },
    visit: (event: WatchEvent<T>) => void,
  ): Promise<void> {
    this.begun.push(`${plural} ${version}`);
    return new Promise((resolve, reject) => {
      const watcher: Watcher = {
        plural,
        visit: visit as Visit,
        end: (error) => {
          this.watchers.delete(watcher);
          (error === undefined ? resolve : reject)(error as never);
        },
      };
      this.watchers.add(watcher);
    });
  }

  override put(plural: string, object: KubeObject): void {
    super.put(plural, object);
    this.announce(plural, 'MODIFIED', object.metadata.name);
  }

  override drop(plural: string, name: string): void {
    const object = this.all(plural).find(({ metadata }) => metadata.name === name);
    super.drop(plural, name);
    if (this.isAnnouncing && object !== undefined) {
      this.send(plural, 'DELETED', object);
    }
  }

  override async create<T extends KubeObject>(path: CollectionPath, object: T): Promise<T> {
    const made = await super.create(path, object);
    this.announce(path.resource.plural, 'ADDED', object.metadata.name);
    return made;
  }

  override async patch<T extends KubeObject>(path: ObjectPath, patch: Patch): Promise<T> {
    const patched = await super.patch<T>(path, patch);
    this.announce(path.resource.plural, 'MODIFIED', path.name);
    return patched;
  }

  private announce(plural: string, type: WatchEvent<KubeObject>['type'], name: string): void {
    const object = this.all(plural).find(({ metadata }) => metadata.name === name);
    if (this.isAnnouncing && object !== undefined) {
      this.send(plural, type, object);
    }
  }

  /** Is anybody watching? */
  isWatched(plural: string): boolean {
    return [...this.watchers].some((one) => one.plural === plural);
  }

  send(plural: string, type: WatchEvent<KubeObject>['type'], object: KubeObject): void {
    for (const { plural: own, visit } of this.watchers) {
      if (own === plural) {
        visit({ type, object: object as never });
      }
    }
  }

  /** Ends all watches: with 410 versions are too old, without a status the connection was cut. */
  cut(status?: number): void {
    for (const watcher of [...this.watchers]) {
      watcher.end(new ApiError('cut', { status }));
    }
  }
}
