import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../cni/errors.ts';
import { makeFolder, removeWritten, syncFolder, writeAtomically } from './atomic-file.ts';
import { ioError, isMissing } from './io-error.ts';

/** How a record is written in its file. */
export interface RecordForm<T> {
  format(record: T): string;
  /** @throws whatever says why the text is no record */
  parse(text: string): T;
}

/** A record among others: its file's name says whose it is, also where the content does not. */
export interface Named<T> {
  readonly name: string;
  readonly record: T;
}

/** A folder of files, each a record. Names that begin with a dot are files being written, and locks. */
export class RecordFolder<T> {
  readonly path: string;
  private readonly form: RecordForm<T>;

  constructor(path: string, form: RecordForm<T>) {
    this.path = path;
    this.form = form;
  }

  fileOf(name: string): string {
    return join(this.path, name);
  }

  /**
   * @param isDurable it must survive a power cut
   * @throws CniError ioFailure
   */
  write(name: string, record: T, { isDurable = true } = {}): void {
    makeFolder(this.path);
    writeAtomically(this.fileOf(name), this.form.format(record), { mode: 0o600, sync: isDurable });
  }

  /**
   * @returns undefined when there is none
   * @throws CniError ioFailure when it cannot be read, or is no record
   */
  read(name: string): T | undefined {
    const file = this.fileOf(name);
    try {
      return this.form.parse(readFileSync(file, 'utf8'));
    } catch (error) {
      if (isMissing(error)) {
        return undefined;
      }
      throw ioError('read record', file, error);
    }
  }

  /** The same, where one that cannot be read is logged and counts as none. */
  readOrLog(name: string, log: (line: string) => void): T | undefined {
    try {
      return this.read(name);
    } catch (error) {
      log(messageOf(error));
      return undefined;
    }
  }

  /**
   * Every record that can be read, in the order of names; the others are logged.
   *
   * @throws CniError ioFailure when the folder cannot be read
   */
  list(log: (line: string) => void): readonly Named<T>[] {
    return this.names().flatMap((name) => {
      const record = this.readOrLog(name, log);
      return record === undefined ? [] : [{ name, record }];
    });
  }

  /**
   * A record that is not there is no failure.
   *
   * @param isDurable it must not be back after a power cut
   * @throws CniError ioFailure
   */
  remove(name: string, { isDurable = false } = {}): void {
    const file = this.fileOf(name);
    try {
      removeWritten(file);
    } catch (error) {
      throw ioError('remove', file, error);
    }
    if (isDurable) {
      syncFolder(this.path);
    }
  }

  /** @throws CniError ioFailure when the folder cannot be read */
  names(): readonly string[] {
    try {
      return readdirSync(this.path, { withFileTypes: true })
        .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
        .map(({ name }) => name)
        .sort();
    } catch (error) {
      if (isMissing(error)) {
        return [];
      }
      throw ioError('read folder', this.path, error);
    }
  }
}
