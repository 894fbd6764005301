/** Puts start.c in front of the executable. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The ELF header of 64 bits, little endian, and its table of segments: elf(5). */
const ENTRY = 24;
const TABLE = 32;
const ENTRY_SIZE = 54;
const ENTRY_COUNT = 56;
const LOAD = 1;
const EXECUTABLE = 1;
const SEGMENT = { type: 0, flags: 4, offset: 8, address: 16, fileSize: 32, memorySize: 40 } as const;

/** More than any part of start.c needs. */
const ALIGNMENT = 64;

interface Segment {
  /** of its entry in the table */
  readonly at: number;
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

/**
 * Makes the executable start with start.c, which then jumps to the former entry point. The code goes behind the last
 * code segment, where padding up to the next page leaves room: nothing moves.
 *
 * @param workshop a folder for files of the compiler
 * @param source path of start.c
 * @param executable is changed in place
 * @throws Error when there is too little room
 */
export function beginWith(workshop: string, source: string, executable: Buffer): void {
  const segments = segmentsOf(executable);
  const code = codeOf(segments);
  const end = Math.ceil((code.offset + code.size) / ALIGNMENT) * ALIGNMENT;
  const address = code.address - code.offset + end;
  const start = compileStart(workshop, source, address, readSize(executable, ENTRY));
  const next = Math.min(...segments.map(({ offset }) => offset).filter((offset) => offset >= code.offset + code.size));
  if (end + start.length > next || executable.subarray(code.offset + code.size, end + start.length).some(Boolean)) {
    throw new Error(`cannot put ${start.length} bytes behind the code of the executable: too little room`);
  }
  start.copy(executable, end);
  const size = BigInt(end + start.length - code.offset);
  executable.writeBigUInt64LE(size, code.at + SEGMENT.fileSize);
  executable.writeBigUInt64LE(size, code.at + SEGMENT.memorySize);
  executable.writeBigUInt64LE(BigInt(address), ENTRY);
}

function codeOf(segments: readonly Segment[]): Segment {
  const code = segments.findLast(({ type, flags }) => type === LOAD && (flags & EXECUTABLE) !== 0);
  if (code === undefined) {
    throw new Error('cannot find code in the executable');
  }
  return code;
}

function segmentsOf(executable: Buffer): readonly Segment[] {
  const [table, size] = [readSize(executable, TABLE), executable.readUInt16LE(ENTRY_SIZE)];
  return Array.from({ length: executable.readUInt16LE(ENTRY_COUNT) }, (_, index) => {
    const at = table + index * size;
    return {
      at,
      type: executable.readUInt32LE(at + SEGMENT.type),
      flags: executable.readUInt32LE(at + SEGMENT.flags),
      offset: readSize(executable, at + SEGMENT.offset),
      address: readSize(executable, at + SEGMENT.address),
      size: readSize(executable, at + SEGMENT.fileSize),
    };
  });
}

/** Machine code for a fixed address, including constants. */
function compileStart(workshop: string, source: string, address: number, nodeStart: number): Buffer {
  const [script, output] = [join(workshop, 'start.ld'), join(workshop, 'start')];
  writeFileSync(
    script,
    `ENTRY(start) node_start = ${nodeStart};
SECTIONS { . = ${address}; .text : { *(.text.start) *(.text*) *(.rodata*) } /DISCARD/ : { *(*) } }
ASSERT(start == ${address}, "start.c is not where it was put")`,
  );
  const code = ['-Os', '-Wall', '-Wextra', '-Werror', '-ffreestanding', '-fno-builtin', '-fpie', '-mno-red-zone'];
  const bare = ['-fno-stack-protector', '-fno-asynchronous-unwind-tables', '-fcf-protection=none'];
  const flags =
    process.arch === 'x64' ? [...code, ...bare] : [...code, ...bare].filter((flag) => !X64_ONLY.includes(flag));
  execFileSync('cc', [...flags, '-nostdlib', '-static', '-Wl,--build-id=none', '-T', script, '-o', output, source], {
    stdio: 'inherit',
  });
  const linked = readFileSync(output);
  const { offset, size, address: begin } = codeOf(segmentsOf(linked));
  return linked.subarray(offset + address - begin, offset + size);
}

const X64_ONLY = ['-mno-red-zone', '-fcf-protection=none'];

const readSize = (bytes: Buffer, at: number): number => Number(bytes.readBigUInt64LE(at));
