import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LogFile, logStream } from './log-stream.ts';
import { readAll } from './read-all.ts';
import { temporaryFolder } from './testing/temporary.ts';
import { writeAll } from './write-all.ts';

interface Pipe extends Disposable {
  readonly path: string;
  readonly reader: number;
  readonly writer: number;
  closeWriter(): void;
}

/** A pipe whose ends do not block, with so much of it filled. */
function pipe({ isFull = false } = {}): Pipe {
  const folder = temporaryFolder();
  const path = join(folder.path, 'pipe');
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  while (isFull && hasRoom(writer)) {
    // until it is full
  }
  let isOpen = true;
  const closeWriter = (): void => {
    if (isOpen) {
      closeSync(writer);
    }
    isOpen = false;
  };
  return {
    path,
    reader,
    writer,
    closeWriter,
    [Symbol.dispose]: () => {
      closeSync(reader);
      closeWriter();
      folder[Symbol.dispose]();
    },
  };
}

function hasRoom(fd: number): boolean {
  try {
    return writeSync(fd, Buffer.alloc(4096, '.')) > 0;
  } catch {
    return false;
  }
}

describe('writeAll', () => {
  it('waits for a reader who is late, without using the processor', async () => {
    using pipes = pipe({ isFull: true });
    const reader = spawn('sh', ['-c', 'sleep 0.3; exec wc -c'], { stdio: [pipes.reader, 'pipe', 'ignore'] });
    const before = process.cpuUsage();
    writeAll(pipes.writer, 'x'.repeat(200_000));
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(150);
    reader.kill();
  });

  it('says why it cannot: a full disk, a pipe that nobody has open', () => {
    const full = openSync('/dev/full', 'w');
    expect(() => writeAll(full, 'x')).toThrow(/ENOSPC/);
    closeSync(full);
  });
});

describe('readAll', () => {
  it('waits for a writer who is late', () => {
    using pipes = pipe();
    const writer = spawn('sh', ['-c', 'sleep 0.2; printf one; sleep 0.1; printf two'], {
      stdio: ['ignore', pipes.writer, 'ignore'],
    });
    pipes.closeWriter();
    expect(readAll(pipes.reader).toString()).toBe('onetwo');
    writer.kill();
  });

  it('reads more than one chunk', () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'file');
    const content = 'abc'.repeat(100_000);
    const fd = openSync(path, 'w+');
    writeAll(fd, content);
    closeSync(fd);
    const again = openSync(path, 'r');
    expect(readAll(again).toString()).toBe(content);
    closeSync(again);
  });
});

describe('logStream', () => {
  it('drops what a full pipe does not take, and is patient once', () => {
    using pipes = pipe({ isFull: true });
    const [patienceMs, lines] = [50, 1000];
    const log = logStream(pipes.writer, patienceMs);
    log('one\n');
    const start = process.hrtime.bigint();
    for (let line = 0; line < lines; line++) {
      log('more\n');
    }
    expect(Number(process.hrtime.bigint() - start) / 1e6).toBeLessThan((lines * patienceMs) / 2);
  });

  it('does not block on a pipe that is shared and blocking', () => {
    using pipes = pipe({ isFull: true });
    const blocking = openSync(pipes.path, constants.O_RDWR);
    logStream(blocking, 5)('dropped\n');
    closeSync(blocking);
  });

  it('goes on when somebody reads again', () => {
    using pipes = pipe({ isFull: true });
    const log = logStream(pipes.writer, 5);
    log('one\n');
    const buffer = Buffer.alloc(1024 * 1024);
    readSync(pipes.reader, buffer, 0, buffer.length, null);
    log('two\n');
    expect(readSync(pipes.reader, buffer, 0, buffer.length, null)).toBe(4);
  });

  it('throws on no disk that is full and no descriptor that is closed', () => {
    const full = openSync('/dev/full', 'w');
    logStream(full)('x');
    closeSync(full);
    logStream(full)('x');
  });
});

describe('LogFile', () => {
  it('appends', () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'log');
    for (const line of ['one\n', 'two\n']) {
      using file = new LogFile(path, 0o600);
      file.append(line);
    }
    expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n');
  });

  it('fails at once where a pipe is that nobody reads or empties', () => {
    using pipes = pipe({ isFull: true });
    using file = new LogFile(pipes.path, 0o600);
    expect(() => file.append('x')).toThrow(/EAGAIN/);
  });
});
