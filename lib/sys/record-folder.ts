import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { messageOf } from '../cni/errors.ts';
import { makeFolder, removeWritten, syncFolder, writeAtomically } from './atomic-file.ts';
import type { Disk } from './disk.ts';
import { beginDurably, type PlacedFile, type UnplacedFile } from './durable-file.ts';
import { temporaryNameOf } from './file-name.ts';
import { inside } from './inside.ts';
import { ioError, isMissing } from './io-error.ts';

/** The file format of a record. */
export interface RecordForm<T> {
  format(record: T): string;
  /** @throws an error saying why the text is not a record */
  parse(text: string): T;
  /** The error for a file that is not a record. Absent: an ioFailure with what `parse` throws. */
  refuse?(file: string, cause: unknown): Error;
}

/** Of records that are texts. */
export const TEXT_FORM: RecordForm<string> = { format: (text) => text, parse: (text) => text };

/** A record and its file name, which identifies the owner even where the content does not. */
export interface NamedRecord<T> {
  readonly name: string;
  readonly record: T;
}

/** A folder of record files. Names that begin with a dot are temporary files and locks. */
export class RecordFolder<T> {
  readonly path: string;
  private readonly form: RecordForm<T>;

  constructor(path: string, form: RecordForm<T>) {
    this.path = path;
    this.form = form;
  }

  fileOf(name: string): string {
    return inside(this.path, name);
  }

  /**
   * @param isDurable survives a power cut
   * @throws CniError ioFailure
   */
  write(name: string, record: T, { isDurable = true } = {}): void {
    const text = this.form.format(record);
    const write = (): void => writeAtomically(this.fileOf(name), text, { mode: 0o600, sync: isDurable });
    try {
      write();
    } catch (error) {
      if (!(error instanceof Error) || !isMissing(error.cause)) {
        throw error;
      }
      makeFolder(this.path, { sync: isDurable }); // mostly it is there
      write();
    }
  }

  /**
   * Writes it with waits that other calls can use.
   *
   * @returns the file, complete, and when it survives a power cut
   * @throws CniError ioFailure
   */
  async place(disk: Disk, name: string, record: T): Promise<PlacedFile> {
    return this.begin(disk, name, record).place();
  }

  /**
   * The same in two parts, for who has something to do while the disk is at work.
   *
   * @throws CniError ioFailure
   */
  begin(disk: Disk, name: string, record: T): UnplacedFile {
    makeFolder(this.path);
    return beginDurably(disk, this.fileOf(name), this.form.format(record));
  }

  /**
   * @returns undefined when there is none
   * @throws CniError ioFailure when it cannot be read; what `refuse` makes of it when it cannot be parsed
   */
  read(name: string): T | undefined {
    const file = this.fileOf(name);
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      if (isMissing(error)) {
        return undefined;
      }
      throw ioError('read record', file, error);
    }
    try {
      return this.form.parse(text);
    } catch (error) {
      throw this.form.refuse?.(file, error) ?? ioError('read record', file, error);
    }
  }

  /** The same, except that an unreadable one is logged and counts as missing. */
  readOrLog(name: string, log: (line: string) => void): T | undefined {
    try {
      return this.read(name);
    } catch (error) {
      log(messageOf(error));
      return undefined;
    }
  }

  /**
   * All readable records, sorted by name; the others are logged.
   *
   * @throws CniError ioFailure when the folder cannot be read
   */
  list(log: (line: string) => void): readonly NamedRecord<T>[] {
    return this.names().flatMap((name) => {
      const record = this.readOrLog(name, log);
      return record === undefined ? [] : [{ name, record }];
    });
  }

  /**
   * Idempotent.
   *
   * @param isDurable it must not reappear after a power cut
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
    return this.files().filter((name) => !name.startsWith('.'));
  }

  /**
   * Names of the records that a killed process was about to write.
   *
   * @throws CniError ioFailure when the folder cannot be read
   */
  unfinished(): readonly string[] {
    return this.files().flatMap((file) => {
      const [, name = ''] = /^\.(.+)\.tmp$/.exec(file) ?? [];
      return file === temporaryNameOf(name) ? [name] : [];
    });
  }

  /** Removes what a killed process was about to write. */
  removeUnfinished(name: string): void {
    rmSync(this.fileOf(temporaryNameOf(name)), { force: true });
  }

  private files(): readonly string[] {
    try {
      return readdirSync(this.path, { withFileTypes: true })
        .filter((entry) => !entry.isDirectory())
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
