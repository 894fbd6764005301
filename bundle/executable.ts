/** The single executable application: Node with a snapshot of the program's heap inside. */
import { execFileSync } from 'node:child_process';
import { constants, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beginWith } from './start.ts';

/**
 * With which the executable runs. Hashing all strings of the snapshot again with a seed of each process takes 4 ms; who
 * configures a node's networks need not be kept from choosing strings that collide. No signal opens a debugger, and what
 * the node's openssl.cnf says is nothing to us: Node ends where that cannot be parsed.
 */
const FLAGS = ['--no-rehash-snapshot', '--disable-sigusr1', '--openssl-config=/dev/null'];

/** So many bytes for a length. */
const SIZE = 8;

/**
 * What begins a snapshot: a magic number, how it was made, and the version of Node behind its length. This and what
 * follows is written by `SnapshotData::ToBlob` in Node's src/node_snapshotable.cc: texts and lists have their length
 * before them, in 8 bytes.
 */
const HEADER = Buffer.concat([
  Buffer.of(0x19, 0xda, 0x43, 0x01, 1),
  sizeOf(process.versions.node.length),
  Buffer.from(process.versions.node),
]);

/** Of Node's modules; it has more than 400. */
const FEWEST_MODULES = 100;
const MOST_MODULES = 10_000;
const LONGEST_NAME = 200;

/**
 * Builds the executable.
 *
 * @param workshop an empty folder, always the same one: the snapshot knows the paths of what made it
 * @returns its path in the workshop, with everything that could tell where it was built left out
 */
export function buildExecutable(workshop: string, code: string, native: Buffer): string {
  const config = {
    main: 'main.js',
    output: 'executable',
    disableExperimentalSEAWarning: true,
    useSnapshot: true,
    execArgv: FLAGS,
    execArgvExtension: 'none',
    assets: { native: 'native.node' },
  };
  const files = {
    'main.js': code,
    'native.node': native,
    'sea.json': JSON.stringify(config),
  };
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(workshop, name), content);
  }
  const node = join(workshop, 'node');
  copyFileSync(process.execPath, node, constants.COPYFILE_FICLONE);
  execFileSync(node, ['--random-seed=1', '--build-sea=sea.json'], {
    cwd: workshop,
    env: { PATH: '/usr/bin:/bin' },
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
 * Takes out of the snapshot what Node adds to it: the compiled code of all of its own modules, 4 MB that each start
 * would copy. What the program uses is in the heap already. (A key of Node's own leaves it out of snapshots that are no
 * executable, and all code of the program with it.)
 *
 * @param executable is changed; nothing in it moves
 * @throws Error when it is not found where it must be
 */
export function dropCodeCache(executable: Buffer): void {
  const start = executable.indexOf(HEADER);
  if (start < SIZE || executable.includes(HEADER, start + 1)) {
    throw new Error('cannot find the one snapshot in the executable: has this version of Node another form of it?');
  }
  const end = start + sizeAt(executable, start - SIZE);
  const list = findCodeCache(executable, start + HEADER.length, end);
  if (list === undefined) {
    throw new Error('cannot find the code cache in the snapshot: has this version of Node another form of it?');
  }
  executable.fill(0, list, end); // a list of nothing, and bytes that nobody reads
}

/** It is the last list of a snapshot: names and codes of modules. */
function findCodeCache(bytes: Buffer, start: number, end: number): number | undefined {
  for (let place = start; place + SIZE < end; place++) {
    const count = sizeAt(bytes, place);
    if (count >= FEWEST_MODULES && count <= MOST_MODULES && endOfModules(bytes, place + SIZE, count) === end) {
      return place;
    }
  }
  return undefined;
}

/** @returns undefined when they are no modules */
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

/** Infinity beyond the end, and for what is no size. */
function sizeAt(bytes: Buffer, place: number): number {
  const isThere = place + SIZE <= bytes.length && bytes.readUInt32LE(place + 4) === 0;
  return isThere ? bytes.readUInt32LE(place) : Number.POSITIVE_INFINITY;
}

export function sizeOf(length: number): Buffer {
  const bytes = Buffer.alloc(SIZE);
  bytes.writeUInt32LE(length);
  return bytes;
}
