import { describe, expect, it } from 'vitest';
import { dropCodeCache, sizeOf } from './executable.ts';

const { node } = process.versions;
const HEADER = Buffer.concat([Buffer.of(0x19, 0xda, 0x43, 0x01, 1), sizeOf(node.length), Buffer.from(node)]);
const HEAP = Buffer.alloc(1000, 'heap');

const sized = (bytes: string | Buffer): Buffer => Buffer.concat([sizeOf(bytes.length), Buffer.from(bytes)]);
const modules = (count: number): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => [`internal/m${index}`, 'code'].map(sized)).flat());
const codeCache = (count: number): Buffer => Buffer.concat([sizeOf(count), modules(count)]);
const executable = (...snapshots: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.from('ELF'), ...snapshots.map(sized), Buffer.from('the rest')]);

describe('dropCodeCache', () => {
  it('leaves an empty list of modules, and all else where it was', () => {
    const cache = codeCache(400);
    const bytes = executable(Buffer.concat([HEADER, HEAP, cache]));
    dropCodeCache(bytes);
    expect(bytes).toEqual(executable(Buffer.concat([HEADER, HEAP, Buffer.alloc(cache.length)])));
  });

  it.each([
    ['no snapshot', executable(), 'cannot find exactly one snapshot'],
    ['two snapshots', executable(...Array.from({ length: 2 }, () => Buffer.concat([HEADER, codeCache(400)]))), 'one'],
    ['no modules', executable(Buffer.concat([HEADER, HEAP])), 'cannot find the code cache'],
    ['few modules', executable(Buffer.concat([HEADER, codeCache(3)])), 'cannot find the code cache'],
    ['more after them', executable(Buffer.concat([HEADER, codeCache(400), HEAP])), 'cannot find the code cache'],
    [
      'a list that is cut',
      executable(Buffer.concat([HEADER, sizeOf(401), modules(400)])),
      'cannot find the code cache',
    ],
  ])('refuses an executable with %s, and leaves it as it is', (_, bytes, message) => {
    const before = Buffer.from(bytes);
    expect(() => dropCodeCache(bytes)).toThrow(message);
    expect(bytes).toEqual(before);
  });
});
