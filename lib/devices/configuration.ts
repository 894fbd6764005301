import { existsSync, type FSWatcher, readFileSync, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '../cni/errors.ts';
import type { Source } from './source.ts';

/** A file of configuration, which is read again when it has changed. */
export class Configuration {
  private readonly source: Source;
  private readonly log: (line: string) => void;
  /** undefined: there has been none that can be used */
  private content: string | undefined;
  /** why the newest cannot be used; '' when it can */
  private refusal = '';

  /**
   * @param isAwaited one that can be used may come later
   * @throws Error when it cannot be used, and is not awaited
   */
  constructor(source: Source, log: (line: string) => void, isAwaited = false) {
    this.source = source;
    this.log = log;
    this.content = isAwaited ? undefined : this.take();
  }

  /** Whether the newest cannot be used. */
  get isFaulty(): boolean {
    return this.refusal !== '';
  }

  /** Whether there has been one that can be used. */
  get isUsed(): boolean {
    return this.content !== undefined;
  }

  /**
   * One that cannot be used is said, once, and the one before stays, if any.
   *
   * @returns whether it has changed
   */
  reread(): boolean {
    try {
      const isUsed = this.isUsed && readFileSync(this.source.file, 'utf8') === this.content;
      this.content = isUsed ? this.content : this.take();
      if (!isUsed || this.refusal !== '') {
        this.log(`configuration "${this.source.file}" is used as it is now`);
      }
      this.refusal = '';
      return !isUsed;
    } catch (error) {
      const refusal = messageOf(error);
      if (refusal !== this.refusal) {
        this.log(`${refusal}; ${this.isUsed ? 'the one before stays in use' : 'nothing is handed out by it yet'}`);
      }
      this.refusal = refusal;
      return false;
    }
  }

  /** Calls when it may have changed: a mounted ConfigMap changes by a link beside the file. Its folder may come later. */
  watch(changed: () => void): { close(): void } {
    let watcher: FSWatcher | undefined;
    let watched = '';
    const follow = (): void => {
      for (let next = nearestFolder(this.source.file); next.identity !== watched; ) {
        watcher?.close();
        watched = next.identity;
        watcher = watch(next.path, { persistent: false }, heard);
        watcher.on('error', heard);
        next = nearestFolder(this.source.file); // it may have been made meanwhile
      }
    };
    const heard = (): void => {
      follow();
      changed();
    };
    follow();
    return { close: () => watcher?.close() };
  }

  private take(): string {
    const { file } = this.source;
    try {
      const content = readFileSync(file, 'utf8');
      this.source.configure(content);
      return content;
    } catch (error) {
      throw new Error(`cannot use configuration "${file}": ${messageOf(error)}`);
    }
  }
}

/** The folder of a file, or the nearest above it that there is. */
function nearestFolder(file: string): { readonly path: string; readonly identity: string } {
  let path = dirname(file);
  while (!existsSync(path)) {
    path = dirname(path);
  }
  const { dev, ino } = statSync(path);
  return { path, identity: `${path} ${dev}:${ino}` };
}
