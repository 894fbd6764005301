import { messageOf } from '../cni/errors.ts';
import { Configuration } from './configuration.ts';
import type { Source } from './source.ts';

/** What is to be known of a file from outside. */
export interface FileState {
  readonly file: string;
  /** the newest cannot be used */
  readonly isFaulty: boolean;
}

/** The configurations of several sources: one that cannot be used keeps no other from being used. */
export class Configurations {
  private readonly all: readonly { readonly source: Source; readonly one: Configuration }[];
  private readonly log: (line: string) => void;
  private readonly said = new Map<Source, string>();

  /**
   * @param areAwaited those that can be used may come later
   * @throws Error when one cannot be used, and is not awaited
   */
  constructor(sources: readonly Source[], log: (line: string) => void, areAwaited = false) {
    this.all = sources.map((source) => ({ source, one: new Configuration(source, log, areAwaited) }));
    this.log = log;
  }

  /** Sources that have one. */
  get inUse(): readonly Source[] {
    return this.all.flatMap(({ source, one }) => (one.isUsed ? [source] : []));
  }

  /** Whether some have none yet. */
  get isWaiting(): boolean {
    return this.inUse.length < this.all.length;
  }

  get files(): readonly FileState[] {
    return this.all.map(({ source, one }) => ({
      file: source.file,
      isFaulty: one.isFaulty || this.said.has(source),
    }));
  }

  /** @returns whether one has changed */
  async reread(): Promise<boolean> {
    const changed = await Promise.all(
      this.all.map(async ({ source, one }) => (one.isUsed || (await this.isMet(source))) && one.reread()),
    );
    return changed.includes(true);
  }

  watch(changed: () => void): Disposable {
    const watchers = this.all.map(({ one }) => one.watch(changed));
    return {
      [Symbol.dispose]: () => {
        for (const watcher of watchers) {
          watcher.close();
        }
      },
    };
  }

  /** What a source demands of the node; said once when it is not so. */
  private async isMet(source: Source): Promise<boolean> {
    try {
      await source.demand?.();
      this.said.delete(source);
      return true;
    } catch (error) {
      const fault = messageOf(error);
      if (this.said.get(source) !== fault) {
        this.log(fault);
      }
      this.said.set(source, fault);
      return false;
    }
  }
}
