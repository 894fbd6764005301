/** The single executable application: Node with a heap snapshot of the program. */
import { execFileSync } from 'node:child_process';
import { constants, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SHORT_LIVED, YOUNG } from './compiling.ts';
import { beginWith } from './start.ts';

/**
 * Options of the executable. Rehashing the snapshot's strings with a seed per process takes 4 ms; those who configure a
 * node's networks need not be kept from choosing colliding strings. No signal opens a debugger, and the node's
 * openssl.cnf is ignored: Node would exit if it cannot be parsed. Whoever asks by TLS says whom to trust: otherwise a thread
 * reads all the CAs that Node brings, in each call that loads TLS.
 */
const FLAGS = ['--no-rehash-snapshot', '--disable-sigusr1', '--openssl-config=/dev/null', '--use-openssl-ca'];

/** Several times what the rehearsal allocates. */
const YOUNG_MB = 512;

/**
 * The same bytes each time. No garbage is collected before the snapshot is taken: a small array keeps in its last bytes
 * what was in its memory before, and half of an address is another one each time. The rehearsal is interpreted only:
 * functions note when V8's threads have compiled them, and would be compiled again in each call. Functions do not age.
 */
const REPRODUCIBLE = [
  ...[`--min-semi-space-size=${YOUNG_MB}`, `--max-semi-space-size=${YOUNG_MB}`, '--single-threaded-gc'],
  ...['--max-opt=0', '--no-flush-bytecode', '--random-seed=1'],
];

/** Bytes of a length field. */
const SIZE = 8;

/**
 * Beginning of a snapshot: a magic number, its origin, and Node's version with its length. This and the rest is written
 * by `SnapshotData::ToBlob` in Node's src/node_snapshotable.cc: texts and lists follow their length of 8 bytes.
 */
const HEADER = Buffer.concat([
  Buffer.of(0x19, 0xda, 0x43, 0x01, 1),
  sizeOf(process.versions.node.length),
  Buffer.from(process.versions.node),
]);

/** of Node's modules; there are more than 400 */
const FEWEST_MODULES = 100;
const MOST_MODULES = 10_000;
const LONGEST_NAME = 200;

/**
 * Builds the executable.
 *
 * @param workshop an empty folder, always the same: the snapshot contains the paths of its sources
 * @param assets files in the executable, by name
 * @returns its path in the workshop, without traces of where it was built
 */
export function buildExecutable(workshop: string, code: string, assets: Readonly<Record<string, Buffer>>): string {
  const config = {
    main: 'main.js',
    output: 'executable',
    disableExperimentalSEAWarning: true,
    useSnapshot: true,
    execArgv: [...FLAGS, ...YOUNG, ...SHORT_LIVED],
    execArgvExtension: 'none',
    assets: Object.fromEntries(Object.keys(assets).map((name) => [name, name])),
  };
  const files = {
    'main.js': code,
    ...assets,
    'sea.json': JSON.stringify(config),
  };
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(workshop, name), content);
  }
  const node = join(workshop, 'node');
  copyFileSync(process.execPath, node, constants.COPYFILE_FICLONE);
  execFileSync(node, [...REPRODUCIBLE, '--build-sea=sea.json'], {
    cwd: workshop,
    // Node writes padding of its structures into the snapshot: memory is zero when it is allocated.
    env: { PATH: '/usr/bin:/bin', MALLOC_PERTURB_: '255' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const path = join(workshop, 'executable');
  const executable = readFileSync(path);
  dropCodeCache(executable);
  beginWith(workshop, join(import.meta.dirname, 'start.c'), executable);
  writeFileSync(path, executable);
  return path;
}

/**
 * Removes Node's code cache from the snapshot: the compiled code of all of Node's own modules, 4 MB that every start
 * would copy. What the program uses is already in the heap. (Node's own option removes it only from snapshots outside
 * executables, and drops the program's compiled code too.)
 *
 * @param executable is changed in place; nothing in it moves
 * @throws Error when it is not found
 */
export function dropCodeCache(executable: Buffer): void {
  const start = executable.indexOf(HEADER);
  if (start < SIZE || executable.includes(HEADER, start + 1)) {
    throw new Error(
      'cannot find exactly one snapshot in the executable: has its format changed in this version of Node?',
    );
  }
  const end = start + sizeAt(executable, start - SIZE);
  const list = findCodeCache(executable, start + HEADER.length, end);
  if (list === undefined) {
    throw new Error('cannot find the code cache in the snapshot: has its format changed in this version of Node?');
  }
  executable.fill(0, list, end); // an empty list, and unused bytes
}

/** It is the last list of a snapshot: names and code of modules. */
function findCodeCache(bytes: Buffer, start: number, end: number): number | undefined {
  for (let place = start; place + SIZE < end; place++) {
    const count = sizeAt(bytes, place);
    if (count >= FEWEST_MODULES && count <= MOST_MODULES && endOfModules(bytes, place + SIZE, count) === end) {
      return place;
    }
  }
  return undefined;
}

/** @returns undefined when they are not modules */
function endOfModules(bytes: Buffer, start: number, count: number): number | undefined {
  let place = start;
  for (let number = 0; number < count; number++) {
    const length = sizeAt(bytes, place);
    const name = length <= LONGEST_NAME ? bytes.toString('latin1', place + SIZE, place + SIZE + length) : '';
    if (!/^[!-~]+$/.test(name)) {
      return undefined;
    }
    place += SIZE + length;
    place += SIZE + sizeAt(bytes, place);
  }
  return place;
}

/** Infinity beyond the end, and for an invalid size. */
function sizeAt(bytes: Buffer, place: number): number {
  const isThere = place + SIZE <= bytes.length && bytes.readUInt32LE(place + 4) === 0;
  return isThere ? bytes.readUInt32LE(place) : Number.POSITIVE_INFINITY;
}

export function sizeOf(length: number): Buffer {
  const bytes = Buffer.alloc(SIZE);
  bytes.writeUInt32LE(length);
  return bytes;
}
