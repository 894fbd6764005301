import { describe, expect, it } from 'vitest';
import { checkEnvironment, readCall, validAttachments } from './read-call.ts';
import { Stdin } from './stdin.ts';

const env = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c1', CNI_NETNS: '/n', CNI_IFNAME: 'net1', CNI_PATH: '/a::/b' };
const stdin = (value: unknown): Stdin =>
  Stdin.of(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)));

describe('checkEnvironment', () => {
  const required: Record<string, readonly string[]> = {
    ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
    CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
    DEL: ['CNI_CONTAINERID', 'CNI_IFNAME', 'CNI_PATH'],
    GC: ['CNI_PATH'],
    STATUS: ['CNI_PATH'],
  };
  it.each(Object.entries(required))('names all that %s misses at once, in order', (verb, names) => {
    expect(() => checkEnvironment({ CNI_COMMAND: verb })).toThrow(`[${names.join(',')}] missing`);
  });

  it('asks VERSION for nothing, and an unknown verb neither', () => {
    expect(() => checkEnvironment({ CNI_COMMAND: 'VERSION' })).not.toThrow();
    expect(() => checkEnvironment({ CNI_COMMAND: 'FOO' })).not.toThrow();
  });

  it('reports a malformed variable before a missing one', () => {
    expect(() => checkEnvironment({ ...env, CNI_CONTAINERID: '-x', CNI_NETNS: '' })).toThrow('CNI_CONTAINERID "-x"');
  });

  it.each(['a/b', 'a:b', 'a b', 'a\u0085b', '.', '..', 'x'.repeat(16), 'éééééééé'])('refuses the name %j', (name) => {
    expect(() => checkEnvironment({ ...env, CNI_IFNAME: name })).toThrow('CNI_IFNAME');
  });
});

describe('readCall', () => {
  it.each([
    ['broken JSON', '{', 6],
    ['trailing bytes', '{"name":"a"} x', 6],
    ['what is too deep for Go', `{"name":"a","x":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, 6],
    ['no object', '[]', 6],
    ['a name of another type', { name: 1 }, 6],
    ['a missing name', {}, 7],
    ['null', 'null', 7],
    ['a bad name', { name: 'a/b' }, 7],
    ['an unknown version', { name: 'a', cniVersion: '0.5.0' }, 1],
    ['a version of another type', { name: 'a', cniVersion: 1 }, 6],
  ])('refuses %s', (_, document, code) => {
    expect(() => readCall(env, stdin(document))).toThrow(expect.objectContaining({ code }));
  });

  it('accepts what is as deep as Go can read', () => {
    const deep = `{"name":"a","cniVersion":"1.0.0","x":${'['.repeat(9999)}${']'.repeat(9999)}}`;
    expect(readCall(env, stdin(deep)).network).toBe('a');
  });

  it('notices an unknown verb after the document', () => {
    expect(() => readCall({ ...env, CNI_COMMAND: 'FOO' }, stdin('{'))).toThrow(expect.objectContaining({ code: 6 }));
    expect(() => readCall({ ...env, CNI_COMMAND: 'FOO' }, stdin({ name: 'a' }))).toThrow(
      expect.objectContaining({ code: 4, message: 'unknown CNI_COMMAND: FOO' }),
    );
  });

  it.each([
    ['CHECK', '0.3.1', 1],
    ['GC', '1.0.0', 1],
    ['STATUS', '1.0.0', 1],
    ['CHECK', 'x', 6],
    ['CHECK', '1.1.0.0', 6],
    ['GC', '2.0.0', 1],
  ])('refuses %s of version %s with code %i', (verb, cniVersion, code) => {
    const call = () => readCall({ ...env, CNI_COMMAND: verb }, stdin({ name: 'a', cniVersion }));
    expect(call).toThrow(expect.objectContaining({ code }));
  });

  it('takes keys in any case, no version as 0.1.0, and drops empty folders', () => {
    const call = readCall(env, stdin({ NAME: 'a' }));
    expect(call).toMatchObject({ network: 'a', version: '0.1.0', path: ['/a', '/b'] });
  });
});

describe('validAttachments', () => {
  it('tells an absent list from an empty one', () => {
    expect(validAttachments({})).toBeUndefined();
    expect(validAttachments({ 'cni.dev/valid-attachments': [] })).toEqual([]);
  });
  it('takes the older key too', () => {
    const list = [{ containerID: 'c', ifname: 'i' }];
    expect(validAttachments({ 'cni.dev/attachments': list })).toEqual(list);
  });
  it('refuses what is not an attachment', () => {
    expect(() => validAttachments({ 'cni.dev/valid-attachments': [{ containerID: 1 }] })).toThrow('not an attachment');
  });
});
