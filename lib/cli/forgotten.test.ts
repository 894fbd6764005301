import { describe, expect, it } from 'vitest';
import type { AttachmentRecord } from '../cni/records.ts';
import { forgottenIn, type Known } from './forgotten.ts';

const ID = 'a'.repeat(64);
const PATH = '/var/run/netns/cni-01234567-89ab-cdef-0123-456789abcdef';

const record = (more: Partial<AttachmentRecord> = {}): AttachmentRecord => ({
  containerId: ID,
  ifName: 'net1',
  network: 'blue',
  pod: 'lab/a',
  netns: PATH,
  addresses: [],
  device: '',
  sinceMs: undefined,
  place: '/x',
  release: {},
  ...more,
});

/** A container that ended while there were no plugins. */
const known = (more: Partial<Known> = {}): Known => ({
  records: [record(), record({ ifName: 'net2', netns: '' })],
  sandboxes: new Set(['b'.repeat(64)]),
  isGone: () => true,
  isNamed: () => false,
  ...more,
});

describe('a container', () => {
  it('is forgotten when its runtime does not know it, and nothing is left of its namespace', () => {
    expect(forgottenIn(known())).toEqual([ID]);
  });
  it.each<[why: string, Partial<Known>]>([
    ['there is no runtime to say so', { sandboxes: undefined }],
    ['its runtime knows it', { sandboxes: new Set([ID]) }],
    ['its namespace lives', { isGone: () => false }],
    [
      'its runtime has not removed its namespace, which may be mounted where it cannot be seen',
      { isNamed: () => true },
    ],
    ['it is not of such a runtime by its name', { records: [record({ containerId: 'cnitool-77383ca0a0715733ca6f' })] }],
    ['it is not of such a runtime by its namespace', { records: [record({ netns: '/proc/77/ns/net' })] }],
    ['no namespace is recorded: it may have been added just now', { records: [record({ netns: '' })] }],
  ])('is not forgotten when %s', (_, more) => {
    expect(forgottenIn(known(more))).toEqual([]);
  });
});
