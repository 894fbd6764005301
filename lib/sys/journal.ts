import {
  closeSync,
  constants,
  fdatasyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { CniError, messageOf } from '../cni/errors.ts';
import { syncFolder } from './atomic-file.ts';
import { crc32c } from './crc32c.ts';
import { ioError, isMissing } from './io-error.ts';

/** Length and CRC-32C of the payload, both big endian. */
const HEADER = 8;

/** System calls of a journal; tests substitute a full disk. */
export interface JournalCalls {
  write(fd: number, bytes: Uint8Array, offset: number, length: number, position: number): number;
  datasync(fd: number): void;
  truncate(fd: number, length: number): void;
}

const KERNEL: JournalCalls = { write: writeSync, datasync: fdatasyncSync, truncate: ftruncateSync };

/**
 * An append-only file of checksummed records. A record confirmed by `append` survives a crash and a power cut; a
 * truncated one is dropped. Callers use a lock of their own.
 */
export class Journal implements Disposable {
  readonly path: string;
  /** when the journal was opened */
  readonly payloads: readonly Buffer[];
  private readonly calls: JournalCalls;
  private fd: number | undefined;
  private end: number;
  private appended = 0;
  private torn: boolean;
  private isNew = false;

  private constructor(path: string, fd: number | undefined, calls: JournalCalls) {
    const bytes = fd === undefined ? Buffer.alloc(0) : readFileSync(fd);
    const { payloads, end } = readFrames(bytes, path);
    this.path = path;
    this.payloads = payloads;
    this.calls = calls;
    this.fd = fd;
    this.end = end;
    this.torn = end < bytes.length;
  }

  /**
   * Opens and reads a journal; a missing file is an empty journal, created by the first `append`.
   *
   * @throws CniError ioFailure when it cannot be read, or when a valid record follows a damaged one: that is no torn
   * tail, and dropping the rest would lose confirmed records
   */
  static open(path: string, calls: JournalCalls = KERNEL): Journal {
    const fd = openIfThere(path);
    try {
      return new Journal(path, fd, calls);
    } catch (error) {
      if (fd !== undefined) {
        closeSync(fd);
      }
      throw error instanceof CniError ? error : ioError('read', path, error);
    }
  }

  /** bytes of all valid records */
  get size(): number {
    return this.end;
  }

  get count(): number {
    return this.payloads.length + this.appended;
  }

  /**
   * Appends a record and syncs it to disk.
   *
   * @throws CniError ioFailure; then the record is not in the journal
   */
  append(payload: Uint8Array): void {
    const fd = this.openForAppend();
    const frame = frameOf(payload);
    try {
      if (this.torn) {
        this.calls.truncate(fd, this.end);
        this.torn = false;
      }
      this.write(fd, frame);
      this.calls.datasync(fd);
    } catch (error) {
      throw ioError('append to', this.path, this.isNew ? this.remove(error) : this.cutBack(fd, error));
    }
    this.isNew = false;
    this.end += frame.length;
    this.appended += 1;
  }

  /** Syncs what a call that died between write and sync may have left. */
  sync(): void {
    if (this.fd !== undefined && this.end > 0) {
      try {
        this.calls.datasync(this.fd);
      } catch (error) {
        throw ioError('sync', this.path, error);
      }
    }
  }

  [Symbol.dispose](): void {
    if (this.fd !== undefined) {
      closeSync(this.fd);
      this.fd = undefined;
    }
  }

  private openForAppend(): number {
    if (this.fd === undefined) {
      try {
        this.fd = openSync(this.path, constants.O_RDWR | constants.O_CREAT, 0o600);
      } catch (error) {
        throw ioError('create', this.path, error);
      }
      this.isNew = true;
      syncFolder(dirname(this.path));
    }
    return this.fd;
  }

  private write(fd: number, frame: Uint8Array): void {
    for (let done = 0; done < frame.length; ) {
      done += this.calls.write(fd, frame, done, frame.length - done, this.end + done);
    }
  }

  /** Removes a journal that this call created for a record that it could not write. */
  private remove(error: unknown): unknown {
    this[Symbol.dispose]();
    try {
      unlinkSync(this.path);
    } catch {
      // an empty journal does no harm
    }
    return error;
  }

  /** An unconfirmed record must not reappear later, and a partial one must not precede the next. */
  private cutBack(fd: number, error: unknown): unknown {
    try {
      this.calls.truncate(fd, this.end);
      return error;
    } catch (second) {
      this.torn = true;
      return new Error(`${messageOf(error)}; cannot truncate the unfinished record: ${messageOf(second)}`);
    }
  }
}

/** One record as stored in the file. */
export function frameOf(payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER + payload.length);
  frame.writeUInt32BE(payload.length, 0);
  frame.writeUInt32BE(crc32c(payload), 4);
  frame.set(payload, HEADER);
  return frame;
}

/**
 * Reads the records of a journal.
 *
 * @returns the payloads, and the end of the last valid record
 * @throws CniError ioFailure when a valid record follows a damaged one
 */
export function readFrames(bytes: Buffer, path: string): { payloads: readonly Buffer[]; end: number } {
  const payloads: Buffer[] = [];
  let end = 0;
  for (let payload = payloadAt(bytes, 0); payload !== undefined; payload = payloadAt(bytes, end)) {
    payloads.push(payload);
    end += HEADER + payload.length;
  }
  for (let offset = end + 1; offset < bytes.length; offset++) {
    if (payloadAt(bytes, offset) !== undefined) {
      throw new CniError(
        'ioFailure',
        `cannot read "${path}": the record at byte ${end} is damaged and a valid one follows at byte ${offset}`,
      );
    }
  }
  return { payloads, end };
}

function payloadAt(bytes: Buffer, offset: number): Buffer | undefined {
  if (offset + HEADER >= bytes.length) {
    return undefined;
  }
  const length = bytes.readUInt32BE(offset);
  const start = offset + HEADER;
  if (length === 0 || length > bytes.length - start) {
    return undefined;
  }
  const payload = bytes.subarray(start, start + length);
  return crc32c(payload) === bytes.readUInt32BE(offset + 4) ? payload : undefined;
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r+');
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw ioError('open', path, error);
  }
}
